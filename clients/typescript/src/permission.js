// `canUseTool`: may this tool run?
//
// 1. The daemon is asked; what it says counts. It is told what our hook said about this very call, if it was asked.
// 2. On `ask` the human callback is asked, with the input as the policies left it. Where there is none, the daemon
//    never says `ask`.
// 3. What the human changes in the input is another call, and is asked about as such: a deny there is a deny.
// 4. No answer, an answer that is none, a human callback that throws or says nothing: deny. Nothing is thrown.

import { isObject, said } from "./daemon.js";
import { permission } from "./answers.js";
import { same } from "./judged.js";

export const CALL = "/v1/can-use-tool";
const FIELDS = ["toolUseID", "agentID", "suggestions"];

/**
 * The callback, in both forms that SDKs know: `(toolName, input, options)` and `({toolName, input, ...options})`.
 *
 * *ask* posts a question, *judged* remembers what the hook said; *about* is what the caller knows of its calls.
 */
export function callback(ask, judged, human, { unasked = "deny", ...about } = {}) {
  return async (first, second, third) => {
    const joined = isObject(first) && second === undefined;
    const { toolName, input, ...options } = joined ? first : { ...third, toolName: first, input: second };
    const asking = human && ((final, more) => asked(human, joined, toolName, final, { ...options, ...more }));
    try {
      const known = judged.of(options.toolUseID, toolName, input);
      const fields = Object.fromEntries(FIELDS.map((key) => [key, options[key]]).filter(([, value]) => value != null));
      if (options.mcpServer) fields.mcpServer = { name: options.mcpServer.name, source: options.mcpServer.source };
      const question = {
        version: 1,
        toolName,
        input,
        ...about,
        ...known.about,
        ...fields,
        asks: Boolean(human),
        unasked,
      };
      return await settled(ask, { ...question, judged: known.judged ?? false }, asking, options.signal);
    } catch (error) {
      return denied(error);
    }
  };
}

/** What *question* comes to after everybody was asked who has to be. Rejects if that fails. */
async function settled(ask, question, human, signal) {
  const answer = permission(await ask(CALL, question, signal), question.asks);
  if (answer.behavior === "deny") return plain(answer);
  const input = answer.updatedInput ?? question.input;
  if (answer.behavior === "allow") return { ...plain(answer), updatedInput: input };
  const theirs = await unlessAborted(human(input, { message: answer.message }), signal);
  if (theirs.behavior === "deny" || theirs.updatedInput === undefined || same(theirs.updatedInput, input)) {
    return theirs.behavior === "deny" ? theirs : { ...theirs, updatedInput: input };
  }
  const changed = { ...question, input: theirs.updatedInput, judged: false };
  const again = permission(await ask(CALL, changed, signal), true);
  return again.behavior === "deny" ? plain(again) : { ...theirs, updatedInput: again.updatedInput ?? changed.input };
}

/** A deny because of *error*. */
export function denied(error) {
  return { behavior: "deny", message: `wasmguard: ${said(error)}` };
}

/** What the human callback answers about *input*. Rejects if that is no answer. */
async function asked(human, joined, toolName, input, options) {
  const call = structuredClone(input); // what they do to it is no answer
  const answer = await (joined ? human({ ...options, toolName, input: call }) : human(toolName, call, options));
  if (isObject(answer) && answer.behavior === "deny") {
    const message =
      typeof answer.message === "string" && answer.message.trim() ? answer.message : "refused by the user";
    return { behavior: "deny", message, ...(answer.interrupt === true ? { interrupt: true } : {}) };
  }
  const { updatedInput, updatedPermissions } = isObject(answer) && answer.behavior === "allow" ? answer : {};
  const fits = updatedInput == null || isObject(updatedInput);
  if (answer?.behavior !== "allow" || !fits || (updatedPermissions != null && !Array.isArray(updatedPermissions))) {
    throw new Error("the human callback gave no answer");
  }
  const granted = updatedPermissions?.length ? { updatedPermissions } : {};
  return {
    behavior: "allow",
    ...(updatedInput == null ? {} : { updatedInput: structuredClone(updatedInput) }),
    ...granted,
  };
}

/** *answer* as the SDK takes it. */
export function plain({ version, ...answer }) {
  return answer;
}

/** What *promise* gives, but no longer than until *signal*. */
function unlessAborted(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const aborted = () => reject(new Error("the question was cancelled"));
    if (signal.aborted) aborted();
    signal.addEventListener("abort", aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}
