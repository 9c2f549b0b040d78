// What a policy is asked.
//
// 1. A request that cannot be read traps: another ABI, a key that is absent, comes twice or is no text, a wrong type,
//    bytes behind it, a text that is no UTF-8. All of it has been gone over before a policy sees any.
// 2. What an event does not say is an empty text or null, and nil is the same.
// 3. A field of the tool's input that is no text is no error: it is for the tool to refuse. A setting of another type
//    than it is asked for traps.

import { Kind, Request as Parts, unlessNil, Value } from "./wasmguard";
import { decoded } from "./utf8";

const FIELDS: StaticArray<string> = ["hook_event_name", "tool_name", "cwd", "tool_input"];

export class Request {
  /** `PreToolUse`. */
  readonly eventName: string;
  /** `Write`; empty where the event is about no tool. */
  readonly toolName: string;
  /** The folder that the agent works in; empty if it does not say. */
  readonly cwd: string;
  /** All of the input of the tool; null where there is none. */
  readonly toolInput: Value | null;
  /** All of the event. */
  readonly event: Value;
  /** All settings. */
  readonly settings: Value;
  /** What the policy remembered last; null for nothing. */
  readonly state: ArrayBuffer | null;

  constructor(parts: Parts) {
    const found = parts.event.fields(FIELDS);
    parts.settings.fields([]); // its keys are texts
    this.eventName = textOf(found[0]) || "";
    this.toolName = textOf(found[1]) || "";
    this.cwd = textOf(found[2]) || "";
    this.toolInput = unlessNil(found[3]);
    this.event = parts.event;
    this.settings = parts.settings;
    const state = parts.state;
    this.state = state ? copied(state.start, state.size) : null;
  }

  /** Whether this is the event `PreToolUse`: a tool is about to run. */
  get isPreToolUse(): bool {
    return this.eventName == "PreToolUse";
  }

  /** A field of the tool's input; null if it is absent or no text. */
  inputText(name: string): string | null {
    return this.inputTexts([name])[0];
  }

  /** Several fields at once, in their order. */
  inputTexts(names: StaticArray<string>): StaticArray<string | null> {
    const texts = new StaticArray<string | null>(names.length);
    const input = this.toolInput;
    if (!input) return texts;
    const found = input.fields(names);
    for (let i = 0; i < names.length; i++) {
      const value = found[i];
      if (value && value.kind == Kind.Text) texts[i] = textOf(value);
    }
    return texts;
  }

  /** Whether the owner or the manifest's default says anything. */
  hasSetting(name: string): bool {
    return this.setting(name) != null;
  }

  /** A setting, or `otherwise` where nobody says anything. */
  settingText(name: string, otherwise: string = ""): string {
    const value = this.setting(name);
    return value ? textOf(value)! : otherwise;
  }

  settingBool(name: string, otherwise: bool = false): bool {
    const value = this.setting(name);
    return value ? value.boolean() : otherwise;
  }

  settingInteger(name: string, otherwise: i64 = 0): i64 {
    const value = this.setting(name);
    return value ? value.integer() : otherwise;
  }

  settingTexts(name: string, otherwise: string[] = []): string[] {
    const value = this.setting(name);
    if (!value) return otherwise;
    const texts: string[] = [];
    for (const items = value.items(); items.left > 0; ) texts.push(textOf(items.next())!);
    return texts;
  }

  private setting(name: string): Value | null {
    return unlessNil(this.settings.fields([name])[0]);
  }
}

/** The value as a text, null where there is nothing or nil. Traps at any other type. */
export function textOf(value: Value | null): string | null {
  const given = unlessNil(value);
  if (!given) return null;
  const text = given.text();
  return decoded(text.start, text.size);
}

function copied(start: usize, size: i32): ArrayBuffer {
  const made = new ArrayBuffer(size);
  memory.copy(changetype<usize>(made), start, size);
  return made;
}
