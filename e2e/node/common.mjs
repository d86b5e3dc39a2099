// What every script does: it reads where the gateway is and which models to ask, does the same
// things with each, and prints what it heard. pytest judges.

export const WEIGH = {
  name: "weigh",
  description: "Weighs something.",
  schema: {
    type: "object",
    properties: { what: { type: "string" }, grams: { type: "integer" } },
    required: ["what"],
  },
};

export const ODD = "Grüße ⚖ 🚚 \"quoted\" \\ back\tslash";
export const ASKED = "use a tool, with a preface";
export const RESULT = "42 grams";
// The provider breaks in mid-stream where it is asked this; at a pace, so that there is content before.
export const BROKEN = "pace:2 words:400 break";
export const LONG = "pace:20 words:3000";

async function input() {
  let text = "";
  for await (const piece of process.stdin) text += piece;
  return JSON.parse(text);
}

const named = (error) => `${error.constructor.name} ${error.status ?? error.statusCode ?? ""}`.trim();

/** Asks a simulated provider to fail where it is asked a text. */
async function fail(provider, kind, when) {
  const faults = [{ kind, after_frames: 40, when }];
  await fetch(`${provider}/__sim/faults`, { method: "POST", body: JSON.stringify({ faults }) });
}

/** How many milliseconds a provider goes on with its answer. */
async function until_cancelled(provider) {
  const began = Date.now();
  while (Date.now() - began < 5000) {
    const { open } = await (await fetch(`${provider}/__sim/state`)).json();
    if (open === 0) return Date.now() - began;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return Date.now() - began;
}

/**
 * Runs `client(gateway)`'s `whole`, `streamed` and `tool` with every model, and prints the results by its name.
 * `streamed` takes an `AbortSignal` and what to do once there is content.
 */
export async function run(client) {
  const { url, key, way, models, providers, scenario } = await input();
  const speaker = client({ url, key, way });
  const heard = {};
  for (const [name, model] of Object.entries(models)) {
    try {
      heard[name] = await SCENARIOS[scenario](speaker, model, providers[name]);
    } catch (error) {
      heard[name] = { failed: `${error.stack}\n${JSON.stringify(error)}` };
    }
  }
  console.log(JSON.stringify(heard));
}

const SCENARIOS = {
  async answers(speaker, model) {
    return {
      whole: await speaker.whole(model, `echo:${ODD}`),
      streamed: await speaker.streamed(model, `echo:${ODD}`),
      tool: await speaker.tool(model),
      missing: await speaker.whole(`${model}-missing`, "hello").then(() => "no error", named),
    };
  },

  // The SDK must raise, whatever breaks.
  async breaks(speaker, model, provider) {
    const heard = {};
    for (const kind of ["error-mid-stream", "cut-mid-stream", "reset-mid-stream"]) {
      await fail(provider, kind, BROKEN);
      heard[kind] = await speaker.streamed(model, BROKEN).then(() => "no error", named);
    }
    return heard;
  },

  // The provider must stop soon after the client has left.
  async aborts(speaker, model, provider) {
    const controller = new AbortController();
    let left = 0;
    const hears = () => {
      left = Date.now();
      controller.abort();
    };
    const ended = await speaker.streamed(model, LONG, controller.signal, hears).then(() => "ended", named);
    return { left: left > 0, ended, milliseconds: await until_cancelled(provider) };
  },

  // Signs of life come between the pieces.
  async pauses(speaker, model) {
    return { streamed: await speaker.streamed(model, `pace:300 echo:${ODD}`) };
  },
};
