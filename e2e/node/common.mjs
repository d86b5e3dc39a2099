// What every script does: it reads where the gateway is and which models to ask, does the same three
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

async function input() {
  let text = "";
  for await (const piece of process.stdin) text += piece;
  return JSON.parse(text);
}

/** Runs `client(gateway)`'s `whole`, `streamed` and `tool` with every model, and prints the results by its name. */
export async function run(client) {
  const { url, key, way, models } = await input();
  const speaker = client({ url, key, way });
  const heard = {};
  for (const [name, model] of Object.entries(models)) {
    try {
      heard[name] = {
        whole: await speaker.whole(model, `echo:${ODD}`),
        streamed: await speaker.streamed(model, `echo:${ODD}`),
        tool: await speaker.tool(model),
        missing: await speaker.whole(`${model}-missing`, "hello").then(
          () => "no error",
          (error) => `${error.constructor.name} ${error.status ?? error.statusCode}`,
        ),
      };
    } catch (error) {
      heard[name] = { failed: `${error.stack}\n${JSON.stringify(error)}` };
    }
  }
  console.log(JSON.stringify(heard));
}
