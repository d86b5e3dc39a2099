// The `openai` package: Chat Completions and Responses.

import OpenAI from "openai";

import { ASKED, RESULT, WEIGH, run } from "./common.mjs";

function chat(client) {
  const ask = (model, messages, more = {}) => client.chat.completions.create({ model, messages, ...more });
  const user = (content) => [{ role: "user", content }];
  const { schema, ...named } = WEIGH;
  const tools = [{ type: "function", function: { ...named, parameters: schema } }];
  return {
    async whole(model, text) {
      return (await ask(model, user(text))).choices[0].message.content;
    },
    async streamed(model, text, signal, hears = () => {}) {
      const stream = client.chat.completions.stream({ model, messages: user(text) }, { signal });
      stream.on("content", hears);
      return (await stream.finalChatCompletion()).choices[0].message.content;
    },
    async tool(model) {
      const stream = client.chat.completions.stream({ model, messages: user(ASKED), tools });
      const { message } = (await stream.finalChatCompletion()).choices[0];
      const [call] = message.tool_calls;
      const result = { role: "tool", tool_call_id: call.id, content: RESULT };
      const said = { role: message.role, content: message.content, tool_calls: message.tool_calls };
      const answer = await ask(model, [...user(ASKED), said, result], { tools });
      return {
        preface: message.content,
        name: call.function.name,
        arguments: JSON.parse(call.function.arguments),
        answer: answer.choices[0].message.content,
      };
    },
  };
}

function responses(client) {
  const user = (content) => [{ role: "user", content }];
  const { schema, ...named } = WEIGH;
  const tools = [{ type: "function", ...named, parameters: schema, strict: false }];
  const ask = (model, input, more = {}) => client.responses.create({ model, input, store: false, ...more });
  return {
    async whole(model, text) {
      return (await ask(model, user(text))).output_text;
    },
    async streamed(model, text, signal, hears = () => {}) {
      const stream = client.responses.stream({ model, input: user(text), store: false }, { signal });
      stream.on("response.output_text.delta", hears);
      return (await stream.finalResponse()).output_text;
    },
    async tool(model) {
      const stream = client.responses.stream({ model, input: user(ASKED), tools, store: false });
      const said = await stream.finalResponse();
      const call = said.output.find((item) => item.type === "function_call");
      const result = { type: "function_call_output", call_id: call.call_id, output: RESULT };
      // What the helper adds to items and parts is its own.
      const plain = ({ parsed, ...part }) => part;
      const output = said.output.map(({ parsed_arguments, ...item }) =>
        item.type === "message" ? { ...item, content: item.content.map(plain) } : item,
      );
      const answer = await ask(model, [...user(ASKED), ...output, result], { tools });
      return {
        preface: said.output_text,
        name: call.name,
        arguments: JSON.parse(call.arguments),
        answer: answer.output_text,
      };
    },
  };
}

await run(({ url, key, way }) => {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
  return way === "openai" ? chat(client) : responses(client);
});
