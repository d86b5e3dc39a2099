// The `@google/genai` package.

import { GoogleGenAI } from "@google/genai";

import { ASKED, RESULT, WEIGH, run } from "./common.mjs";

await run(({ url, key }) => {
  const client = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: url } });
  const user = (text) => ({ role: "user", parts: [{ text }] });
  const { schema, ...named } = WEIGH;
  const config = { tools: [{ functionDeclarations: [{ ...named, parametersJsonSchema: schema }] }] };
  const parts = async (asked, hears = () => {}) => {
    const heard = [];
    for await (const piece of await client.models.generateContentStream(asked)) {
      heard.push(...(piece.candidates?.[0]?.content?.parts ?? []));
      hears();
    }
    return heard;
  };
  const text = (heard) => heard.map((part) => part.text ?? "").join("");
  return {
    async whole(model, asked) {
      return (await client.models.generateContent({ model, contents: [user(asked)] })).text;
    },
    async streamed(model, asked, abortSignal, hears) {
      return text(await parts({ model, contents: [user(asked)], config: { abortSignal } }, hears));
    },
    async tool(model) {
      const said = await parts({ model, contents: [user(ASKED)], config });
      const { functionCall: call } = said.find((part) => part.functionCall);
      const result = { functionResponse: { id: call.id, name: call.name, response: { output: RESULT } } };
      const contents = [user(ASKED), { role: "model", parts: said }, { role: "user", parts: [result] }];
      const answer = await client.models.generateContent({ model, contents, config });
      return { preface: text(said), name: call.name, arguments: call.args, answer: answer.text };
    },
  };
});
