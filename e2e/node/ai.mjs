// Vercel's AI SDK, over the four protocols that its provider packages speak.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

import { ASKED, ODD, RESULT, WEIGH, run } from "./common.mjs";

function provider({ url, key, way }) {
  switch (way) {
    case "openai":
      return createOpenAI({ baseURL: `${url}/v1`, apiKey: key }).chat;
    case "openai-responses":
      return createOpenAI({ baseURL: `${url}/v1`, apiKey: key }).responses;
    case "anthropic":
      return createAnthropic({ baseURL: `${url}/v1`, apiKey: key });
    case "gemini":
      return createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey: key });
    default:
      throw new Error(`no provider package speaks ${way}`);
  }
}

await run((gateway) => {
  const named = provider(gateway);
  return {
    async whole(model, prompt) {
      return (await generateText({ model: named(model), prompt, maxRetries: 0 })).text;
    },
    async streamed(model, prompt, abortSignal, hears = () => {}) {
      let failure;
      const onError = ({ error }) => (failure = error);
      const { textStream } = streamText({ model: named(model), prompt, maxRetries: 0, onError, abortSignal });
      let text = "";
      for await (const piece of textStream) {
        text += piece;
        hears();
      }
      if (failure) throw failure;
      return text;
    },
    async tool(model) {
      const calls = [];
      const weigh = tool({
        description: WEIGH.description,
        inputSchema: jsonSchema(WEIGH.schema),
        execute: async (input) => (calls.push(input), RESULT),
      });
      // The SDK itself runs the tool and sends its result. Over Responses it names what was answered before by
      // its id (`item_reference`).
      const asked = [{ role: "user", content: ASKED }];
      const { steps, response } = await generateText({
        model: named(model),
        messages: asked,
        tools: { weigh },
        stopWhen: stepCountIs(3),
        maxRetries: 0,
      });
      const next = await generateText({
        model: named(model),
        messages: [...asked, ...response.messages, { role: "user", content: `echo:${ODD}` }],
        tools: { weigh },
        maxRetries: 0,
      });
      const [first, last] = [steps[0].text, steps.at(-1).text];
      return { preface: first, name: "weigh", arguments: calls[0], answer: last, next: next.text };
    },
  };
});
