-- What each key had used by the end of each hour in which it used anything, since its first attempt: the usage of any
-- period is the difference of two rows, however many roll-ups lie between. It is kept by triggers, so that it is right
-- also where a process of an earlier release still writes roll-ups.
CREATE TABLE key_total (
    key            INTEGER NOT NULL,
    hour           INTEGER NOT NULL,
    attempts       INTEGER NOT NULL DEFAULT 0,
    succeeded      INTEGER NOT NULL DEFAULT 0,
    estimated      INTEGER NOT NULL DEFAULT 0,
    cost           INTEGER NOT NULL DEFAULT 0,
    charged        INTEGER NOT NULL DEFAULT 0,
    input          INTEGER NOT NULL DEFAULT 0,
    cache_read     INTEGER NOT NULL DEFAULT 0,
    cache_write_5m INTEGER NOT NULL DEFAULT 0,
    cache_write_1h INTEGER NOT NULL DEFAULT 0,
    input_audio    INTEGER NOT NULL DEFAULT 0,
    output         INTEGER NOT NULL DEFAULT 0,
    reasoning      INTEGER NOT NULL DEFAULT 0,
    output_audio   INTEGER NOT NULL DEFAULT 0,
    web_search     INTEGER NOT NULL DEFAULT 0,
    tool_prompt    INTEGER NOT NULL DEFAULT 0,
    output_image   INTEGER NOT NULL DEFAULT 0,
    input_image    INTEGER NOT NULL DEFAULT 0,
    images         INTEGER NOT NULL DEFAULT 0,
    images_given   INTEGER NOT NULL DEFAULT 0,
    characters     INTEGER NOT NULL DEFAULT 0,
    seconds        INTEGER NOT NULL DEFAULT 0,
    seconds_made   INTEGER NOT NULL DEFAULT 0,
    pages          INTEGER NOT NULL DEFAULT 0,
    calls          INTEGER NOT NULL DEFAULT 0,
    file_search    INTEGER NOT NULL DEFAULT 0,
    map_search     INTEGER NOT NULL DEFAULT 0,
    code_sessions  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (key, hour)
) STRICT, WITHOUT ROWID;

INSERT INTO key_total (key, hour,
    attempts, succeeded, estimated, cost, charged, input, cache_read, cache_write_5m, cache_write_1h, input_audio,
    output, reasoning, output_audio, web_search, tool_prompt, output_image, input_image, images, images_given,
    characters, seconds, seconds_made, pages, calls, file_search, map_search, code_sessions)
    SELECT key, hour,
    sum(attempts) OVER so_far, sum(succeeded) OVER so_far, sum(estimated) OVER so_far, sum(cost) OVER so_far,
    sum(charged) OVER so_far, sum(input) OVER so_far, sum(cache_read) OVER so_far, sum(cache_write_5m) OVER so_far,
    sum(cache_write_1h) OVER so_far, sum(input_audio) OVER so_far, sum(output) OVER so_far,
    sum(reasoning) OVER so_far, sum(output_audio) OVER so_far, sum(web_search) OVER so_far,
    sum(tool_prompt) OVER so_far, sum(output_image) OVER so_far, sum(input_image) OVER so_far,
    sum(images) OVER so_far, sum(images_given) OVER so_far, sum(characters) OVER so_far, sum(seconds) OVER so_far,
    sum(seconds_made) OVER so_far, sum(pages) OVER so_far, sum(calls) OVER so_far, sum(file_search) OVER so_far,
    sum(map_search) OVER so_far, sum(code_sessions) OVER so_far
    FROM (
        SELECT key, hour,
        sum(attempts) AS attempts, sum(succeeded) AS succeeded, sum(estimated) AS estimated, sum(cost) AS cost,
        sum(charged) AS charged, sum(input) AS input, sum(cache_read) AS cache_read,
        sum(cache_write_5m) AS cache_write_5m, sum(cache_write_1h) AS cache_write_1h,
        sum(input_audio) AS input_audio, sum(output) AS output, sum(reasoning) AS reasoning,
        sum(output_audio) AS output_audio, sum(web_search) AS web_search, sum(tool_prompt) AS tool_prompt,
        sum(output_image) AS output_image, sum(input_image) AS input_image, sum(images) AS images,
        sum(images_given) AS images_given, sum(characters) AS characters, sum(seconds) AS seconds,
        sum(seconds_made) AS seconds_made, sum(pages) AS pages, sum(calls) AS calls, sum(file_search) AS file_search,
        sum(map_search) AS map_search, sum(code_sessions) AS code_sessions
        FROM rollup GROUP BY key, hour
    )
    WINDOW so_far AS (PARTITION BY key ORDER BY hour);

-- A roll-up that is new may be the first of its hour, which then begins with what was used before it. Hours behind it
-- are there where somebody's clock is behind, or where an attempt has ended after others that were opened later. What
-- was charged stands in two books, each of which fits into a number; both together end at the largest there is.
CREATE TRIGGER rollup_came AFTER INSERT ON rollup BEGIN
    INSERT INTO key_total (key, hour,
        attempts, succeeded, estimated, cost, charged, input, cache_read, cache_write_5m, cache_write_1h,
        input_audio, output, reasoning, output_audio, web_search, tool_prompt, output_image, input_image, images,
        images_given, characters, seconds, seconds_made, pages, calls, file_search, map_search, code_sessions)
        SELECT new.key, new.hour,
        attempts, succeeded, estimated, cost, charged, input, cache_read, cache_write_5m, cache_write_1h,
        input_audio, output, reasoning, output_audio, web_search, tool_prompt, output_image, input_image, images,
        images_given, characters, seconds, seconds_made, pages, calls, file_search, map_search, code_sessions
        FROM key_total WHERE key = new.key AND hour < new.hour ORDER BY hour DESC LIMIT 1
        ON CONFLICT (key, hour) DO NOTHING;
    INSERT INTO key_total (key, hour) VALUES (new.key, new.hour) ON CONFLICT (key, hour) DO NOTHING;
    UPDATE key_total SET
        attempts = attempts + new.attempts, succeeded = succeeded + new.succeeded,
        estimated = estimated + new.estimated, cost = cost + new.cost,
        charged = iif(new.charged > 0, min(charged, 9223372036854775807 - new.charged), charged) + new.charged,
        input = input + new.input, cache_read = cache_read + new.cache_read,
        cache_write_5m = cache_write_5m + new.cache_write_5m, cache_write_1h = cache_write_1h + new.cache_write_1h,
        input_audio = input_audio + new.input_audio, output = output + new.output,
        reasoning = reasoning + new.reasoning, output_audio = output_audio + new.output_audio,
        web_search = web_search + new.web_search, tool_prompt = tool_prompt + new.tool_prompt,
        output_image = output_image + new.output_image, input_image = input_image + new.input_image,
        images = images + new.images, images_given = images_given + new.images_given,
        characters = characters + new.characters, seconds = seconds + new.seconds,
        seconds_made = seconds_made + new.seconds_made, pages = pages + new.pages, calls = calls + new.calls,
        file_search = file_search + new.file_search, map_search = map_search + new.map_search,
        code_sessions = code_sessions + new.code_sessions
        WHERE key = new.key AND hour >= new.hour;
END;

CREATE TRIGGER rollup_changed AFTER UPDATE ON rollup BEGIN
    UPDATE key_total SET
        attempts = attempts + (new.attempts - old.attempts), succeeded = succeeded + (new.succeeded - old.succeeded),
        estimated = estimated + (new.estimated - old.estimated), cost = cost + (new.cost - old.cost),
        charged = iif(new.charged > old.charged, min(charged, 9223372036854775807 - (new.charged - old.charged)), charged)
            + (new.charged - old.charged),
        input = input + (new.input - old.input), cache_read = cache_read + (new.cache_read - old.cache_read),
        cache_write_5m = cache_write_5m + (new.cache_write_5m - old.cache_write_5m),
        cache_write_1h = cache_write_1h + (new.cache_write_1h - old.cache_write_1h),
        input_audio = input_audio + (new.input_audio - old.input_audio), output = output + (new.output - old.output),
        reasoning = reasoning + (new.reasoning - old.reasoning),
        output_audio = output_audio + (new.output_audio - old.output_audio),
        web_search = web_search + (new.web_search - old.web_search),
        tool_prompt = tool_prompt + (new.tool_prompt - old.tool_prompt),
        output_image = output_image + (new.output_image - old.output_image),
        input_image = input_image + (new.input_image - old.input_image), images = images + (new.images - old.images),
        images_given = images_given + (new.images_given - old.images_given),
        characters = characters + (new.characters - old.characters), seconds = seconds + (new.seconds - old.seconds),
        seconds_made = seconds_made + (new.seconds_made - old.seconds_made), pages = pages + (new.pages - old.pages),
        calls = calls + (new.calls - old.calls), file_search = file_search + (new.file_search - old.file_search),
        map_search = map_search + (new.map_search - old.map_search),
        code_sessions = code_sessions + (new.code_sessions - old.code_sessions)
        WHERE key = new.key AND hour >= new.hour;
END;
