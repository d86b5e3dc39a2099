-- What each key had used by the end of each hour in which it used anything, since its first attempt: the usage of any
-- period is the difference of two rows, however many roll-ups lie between. It is kept by triggers, so that it is right
-- also while instances of an earlier release write roll-ups.
CREATE TABLE key_total (
    key       bigint NOT NULL,
    hour      bigint NOT NULL,
    attempts  bigint NOT NULL DEFAULT 0,
    succeeded bigint NOT NULL DEFAULT 0,
    estimated bigint NOT NULL DEFAULT 0,
    cost      bigint NOT NULL DEFAULT 0,
    charged   bigint NOT NULL DEFAULT 0,
    counts    bigint[] NOT NULL DEFAULT '{}', -- as in rollup
    PRIMARY KEY (key, hour)
) WITH (fillfactor = 70);

-- From here on nobody commits until this migration has, so that no roll-up is counted twice, or not at all.
SELECT seq FROM journal WHERE single FOR UPDATE;

INSERT INTO key_total (key, hour, attempts, succeeded, estimated, cost, charged, counts)
    SELECT key, hour, sum(attempts) OVER so_far, sum(succeeded) OVER so_far, sum(estimated) OVER so_far,
        sum(cost) OVER so_far, sum(charged) OVER so_far,
        ARRAY[
            sum(c1) OVER so_far, sum(c2) OVER so_far, sum(c3) OVER so_far, sum(c4) OVER so_far, sum(c5) OVER so_far,
            sum(c6) OVER so_far, sum(c7) OVER so_far, sum(c8) OVER so_far, sum(c9) OVER so_far, sum(c10) OVER so_far,
            sum(c11) OVER so_far, sum(c12) OVER so_far, sum(c13) OVER so_far, sum(c14) OVER so_far,
            sum(c15) OVER so_far, sum(c16) OVER so_far, sum(c17) OVER so_far, sum(c18) OVER so_far,
            sum(c19) OVER so_far, sum(c20) OVER so_far, sum(c21) OVER so_far, sum(c22) OVER so_far
        ]::bigint[]
    FROM (
        SELECT key, hour, sum(attempts) AS attempts, sum(succeeded) AS succeeded, sum(estimated) AS estimated,
            sum(cost) AS cost, sum(charged) AS charged,
            coalesce(sum(counts[1]), 0) AS c1, coalesce(sum(counts[2]), 0) AS c2, coalesce(sum(counts[3]), 0) AS c3,
            coalesce(sum(counts[4]), 0) AS c4, coalesce(sum(counts[5]), 0) AS c5, coalesce(sum(counts[6]), 0) AS c6,
            coalesce(sum(counts[7]), 0) AS c7, coalesce(sum(counts[8]), 0) AS c8, coalesce(sum(counts[9]), 0) AS c9,
            coalesce(sum(counts[10]), 0) AS c10, coalesce(sum(counts[11]), 0) AS c11,
            coalesce(sum(counts[12]), 0) AS c12, coalesce(sum(counts[13]), 0) AS c13,
            coalesce(sum(counts[14]), 0) AS c14, coalesce(sum(counts[15]), 0) AS c15,
            coalesce(sum(counts[16]), 0) AS c16, coalesce(sum(counts[17]), 0) AS c17,
            coalesce(sum(counts[18]), 0) AS c18, coalesce(sum(counts[19]), 0) AS c19,
            coalesce(sum(counts[20]), 0) AS c20, coalesce(sum(counts[21]), 0) AS c21,
            coalesce(sum(counts[22]), 0) AS c22
        FROM rollup GROUP BY key, hour
    ) AS hours
    WINDOW so_far AS (PARTITION BY key ORDER BY hour);

-- A roll-up that is new may be the first of its hour, which then begins with what was used before it. Hours behind it
-- are there where somebody's clock is behind, or where an attempt has ended after others that were opened later. What
-- was charged stands in two books, each of which fits into a number; both together end at the largest there is.
CREATE FUNCTION rollup_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO key_total (key, hour, attempts, succeeded, estimated, cost, charged, counts)
        SELECT new.key, new.hour, attempts, succeeded, estimated, cost, charged, counts
        FROM key_total AS former WHERE former.key = new.key AND former.hour < new.hour
        ORDER BY former.hour DESC LIMIT 1
        ON CONFLICT (key, hour) DO NOTHING;
    INSERT INTO key_total (key, hour) VALUES (new.key, new.hour) ON CONFLICT (key, hour) DO NOTHING;
    UPDATE key_total SET attempts = attempts + new.attempts, succeeded = succeeded + new.succeeded,
        estimated = estimated + new.estimated, cost = cost + new.cost,
        charged = least(charged::numeric + new.charged, 9223372036854775807),
        counts = ARRAY(SELECT coalesce(total, 0) + coalesce(more, 0)
            FROM unnest(counts, new.counts) WITH ORDINALITY AS sums (total, more, at) ORDER BY at)
        WHERE key = new.key AND hour >= new.hour;
    RETURN NULL;
END $$;
CREATE TRIGGER rollup_came AFTER INSERT ON rollup FOR EACH ROW EXECUTE FUNCTION rollup_came();

CREATE FUNCTION rollup_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE key_total SET attempts = attempts + (new.attempts - old.attempts),
        succeeded = succeeded + (new.succeeded - old.succeeded),
        estimated = estimated + (new.estimated - old.estimated), cost = cost + (new.cost - old.cost),
        charged = least(charged::numeric + (new.charged - old.charged), 9223372036854775807),
        counts = ARRAY(SELECT coalesce(total, 0) + (coalesce(now, 0) - coalesce(before, 0))
            FROM unnest(counts, new.counts, old.counts) WITH ORDINALITY AS sums (total, now, before, at) ORDER BY at)
        WHERE key = new.key AND hour >= new.hour;
    RETURN NULL;
END $$;
CREATE TRIGGER rollup_changed AFTER UPDATE ON rollup FOR EACH ROW EXECUTE FUNCTION rollup_changed();
