/** Plain JSON data. */
export type Json = null | boolean | number | string | Json[] | { [field: string]: Json };

/** The request is not one of this ABI, or a field that was read is of another type. */
export class Malformed extends Error {}

/** One event, the settings of the owner, and what the policy remembers. Fields are decoded when they are read. */
export class Request {
  private constructor();
  /** `PreToolUse`, … */
  readonly eventName: string | undefined;
  /** `Write`, …; undefined where no tool is meant. */
  readonly toolName: string | undefined;
  /** The folder in which the agent works. */
  readonly cwd: string | undefined;
  /** The text in this field of `tool_input`; undefined if there is none, or something else. */
  inputText(field: string): string | undefined;
  /** The whole input of the tool; empty where there is none. `inputText` is cheaper. */
  readonly toolInput: { readonly [field: string]: Json | undefined };
  /** The whole event as the agent sent it. */
  readonly event: { readonly [field: string]: Json | undefined };
  /** All settings. */
  readonly settings: { readonly [name: string]: Json | undefined };
  /** The setting of this name; undefined if it is not set. Another type throws. */
  settingText(name: string): string | undefined;
  settingBoolean(name: string): boolean | undefined;
  settingInteger(name: string): number | undefined;
  settingTexts(name: string): string[] | undefined;
  /** What this policy remembered last; null for nothing. */
  readonly state: Uint8Array | null;
}

/** What a policy says. Every method returns the answer itself. */
export class Answer {
  private constructor();
  /** One line for the owner and the model. */
  because(reason: string): this;
  /** Replaces one field of the tool's input. The owner must have granted it. */
  rewrite(field: string, value: Json): this;
  /** Replaces the tool's output: fields of a map, or the whole of a list or a text. Needs its grant too. */
  rewriteOutput(value: string | Json[] | { [field: string]: Json }): this;
  /** Text for the model, where the event takes it. */
  context(text: string): this;
  /** A line for the record only. There may be several. */
  note(text: string): this;
  /** What `Request.state` is at the next event; empty forgets it. Needs its grant. */
  remember(state: Uint8Array): this;
  /** With a deny: stops the run, where the agent can. */
  interrupt(): this;
}

/** Names the one function that is the policy. */
export function policy(judge: (request: Request) => Answer): void;

/** No opinion: the agent's own permissions go on. */
export function pass(): Answer;
/** Let it through without a question. Counts as a pass unless the owner granted it. */
export function allow(reason?: string): Answer;
/** Ask the human. */
export function ask(reason: string): Answer;
/** Not this call, and why. */
export function deny(reason: string): Answer;
/** No opinion, but another value in one field of the tool's input. */
export function rewrite(field: string, value: Json, reason?: string): Answer;

/** The absolute path without `.`, `..` and doubled slashes; one that is not absolute stays as it is. */
export function normal(path: string): string;
/** Whether the path is the folder or below it: `/etcetera` is not within `/etc`. Both should be `normal`. */
export function within(path: string, folder: string): boolean;
