// The `@anthropic-ai/sdk` package.

import Anthropic from "@anthropic-ai/sdk";

import { ASKED, RESULT, WEIGH, run } from "./common.mjs";

await run(({ url, key }) => {
  const client = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 });
  const user = (content) => [{ role: "user", content }];
  const { schema, ...named } = WEIGH;
  const tools = [{ ...named, input_schema: schema }];
  const body = (model, messages, more = {}) => ({ model, max_tokens: 1000, messages, ...more });
  const text = (message) =>
    message.content
      .filter((block) => block.type === "text")
      .map((block) => block.text)
      .join("");
  return {
    async whole(model, asked) {
      return text(await client.messages.create(body(model, user(asked))));
    },
    async streamed(model, asked, signal, hears = () => {}) {
      const stream = client.messages.stream(body(model, user(asked)), { signal }).on("text", hears);
      return text(await stream.finalMessage());
    },
    async tool(model) {
      const said = await client.messages.stream(body(model, user(ASKED), { tools })).finalMessage();
      const call = said.content.find((block) => block.type === "tool_use");
      const result = { type: "tool_result", tool_use_id: call.id, content: RESULT };
      const history = [...user(ASKED), { role: "assistant", content: said.content }, ...user([result])];
      const answer = await client.messages.create(body(model, history, { tools }));
      return { preface: text(said), name: call.name, arguments: call.input, answer: text(answer) };
    },
  };
});
