// Asks a server through OpenAI's client for JavaScript, and prints what came as one line of JSON.
// node client.mjs CLIENT_FOLDER BASE_URL MODEL MODEL..., with the key in OPENAI_API_KEY: the models
// after the first each write calls in a way of their own
import { pathToFileURL } from "node:url";

const [folder, baseURL, model, ...models] = process.argv.slice(2);
const { default: OpenAI, BadRequestError } = await import(pathToFileURL(`${folder}/index.mjs`));
const client = new OpenAI({ baseURL, maxRetries: 0 });
const messages = [{ role: "user", content: "hello there" }];
const parameters = {
  type: "object",
  properties: { city: { enum: ["Bern", "Oslo"] } },
  required: ["city"],
  additionalProperties: false,
};

async function chat() {
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 12, seed: 7 });
  return { text: answer.choices[0].message.content, usage: answer.usage };
}

async function stream() {
  const ask = { model, messages, max_tokens: 12, seed: 7, stream: true };
  const chunks = await client.chat.completions.create({ ...ask, stream_options: { include_usage: true } });
  let [text, usage] = ["", null];
  for await (const chunk of chunks) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  return { text, usage };
}

async function tools() {
  const tool = { type: "function", function: { name: "weather", parameters } };
  const ask = { model, messages, tools: [tool], tool_choice: "required", parallel_tool_calls: false };
  const whole = await client.chat.completions.create({ ...ask, seed: 3 });
  const streamed = await client.chat.completions.stream({ ...ask, seed: 3 }).finalChatCompletion();
  return [whole, streamed].map(({ choices: [{ message, finish_reason }] }) => ({
    calls: message.tool_calls.map((call) => call.function),
    finish_reason,
  }));
}

// Each way of writing calls, whole and by the helpers that put streams together.
async function calls() {
  const clock = { type: "object", properties: {}, required: [], additionalProperties: false };
  const functions = [{ name: "weather", parameters }, { name: "clock", parameters: clock }];
  const chat = functions.map((one) => ({ type: "function", function: one }));
  const tools = functions.map((one) => ({ type: "function", ...one }));
  const came = {};
  for (const model of models) {
    const ask = { model, messages, tools: chat, tool_choice: "required", seed: 1, max_tokens: 850 };
    const whole = await client.chat.completions.create(ask);
    const streamed = await client.chat.completions.stream(ask).finalChatCompletion();
    const respond = { model, input: "hello there", tools, tool_choice: "required", temperature: 0, max_output_tokens: 850 };
    const response = await client.responses.create(respond);
    const followed = await client.responses.stream(respond).finalResponse();
    const said = ({ choices: [{ message, finish_reason }] }) =>
      [...message.tool_calls.map((call) => [call.function.name, call.function.arguments]), finish_reason];
    const items = ({ output }) => output.map(({ name, arguments: given }) => [name, given]);
    came[model] = { chat: [whole, streamed].map(said), responses: [response, followed].map(items) };
  }
  return came;
}

async function json() {
  const format = { type: "json_schema", json_schema: { name: "place", strict: true, schema: parameters } };
  const answer = await client.chat.completions.parse({ model, messages, response_format: format, seed: 1 });
  return answer.choices[0].message.parsed;
}

async function embeddings() {
  const input = ["hello", "world"];
  const packed = await client.embeddings.create({ model, input });
  const plain = await client.embeddings.create({ model, input, encoding_format: "float" });
  return [packed, plain].map(({ data }) => data.map(({ embedding }) => [...embedding]));
}

async function responses() {
  const first = await client.responses.create({ model, input: "hello", max_output_tokens: 4 });
  const events = client.responses.stream({
    ...{ model, input: "and then?", max_output_tokens: 4, previous_response_id: first.id },
  });
  const types = [];
  for await (const event of events) types.push(event.type);
  const next = await events.finalResponse();
  const kept = await client.responses.retrieve(next.id);
  await client.responses.delete(next.id);
  return { first: first.output_text, next: next.output_text, kept: kept.output_text, types };
}

async function refusal() {
  try {
    await client.chat.completions.create({ model, messages, temperature: 3 });
  } catch (error) {
    return { bad: error instanceof BadRequestError, code: error.code, param: error.param };
  }
}

const parts = { chat, stream, tools, calls, json, embeddings, responses, refusal };
const came = {};
for (const [name, ask] of Object.entries(parts)) came[name] = await ask();
console.log(JSON.stringify(came));
