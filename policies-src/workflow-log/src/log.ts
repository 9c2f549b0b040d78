// What is noted about an event.
//
// 1. It always passes: an observer has no opinion.
// 2. `UserPromptSubmit` counts a prompt. The first event of all starts the clock.
// 3. `PostToolUse` and `PostToolUseFailure` count an operation of their tool, the latter as an error; so is a result
//    with `is_error` or `isError`. The beginning of its input is kept.
// 4. Such an operation is noted as an alert for every path of `alert_paths` in it, if its tool is one of `alert_tools`.
// 5. With `audit` it is noted with its id, its time, its input and its result.
// 6. `Stop` and `SessionEnd` note a summary, if there was anything before. They change nothing: the session may go on.

import { Answer, Buffer, Kind, Request, Text, textOf, unlessNil, Value } from "../../sdk/assemblyscript/wasmguard";
import { alerts } from "./alerts";
import { preview } from "./preview";
import { Settings } from "./settings";
import { Operation, Statistics } from "./statistics";
import { summary } from "./summary";

const PREVIEW = 100; // characters of an input or a result
const FIELDS: StaticArray<string> = [
  "hook_event_name", "time", "cwd", "tool_name", "tool_input", "tool_response", "tool_use_id", "duration_ms", "error",
];

/** The fields of an event that are read here. */
class Event {
  name: Text;
  time: u64 = 0;
  cwd: Text;
  tool: Text;
  input: Value | null;
  output: Value | null;
  id: Text;
  /** Milliseconds; negative if nobody knows. */
  duration: f64 = -1;

  constructor(value: Value) {
    const found = value.fields(FIELDS);
    this.name = textOf(found[0]);
    const time = unlessNil(found[1]);
    if (time) this.time = time.unsigned();
    this.cwd = textOf(found[2]);
    this.tool = textOf(found[3]);
    this.input = unlessNil(found[4]);
    this.output = unlessNil(found[5]) || unlessNil(found[8]);
    this.id = textOf(found[6]);
    const duration = unlessNil(found[7]);
    if (duration) this.duration = duration.float();
  }

  get isOperation(): bool {
    return this.name.is("PostToolUse") || this.name.is("PostToolUseFailure");
  }

  get isEnd(): bool {
    return this.name.is("Stop") || this.name.is("SessionEnd");
  }

  get failed(): bool {
    return this.name.is("PostToolUseFailure") || saysError(this.output);
  }
}

export function judge(request: Request): Answer {
  const event = new Event(request.event);
  const settings = Settings.parse(request.settings);
  const answer = new Answer();
  const isPrompt = event.name.is("UserPromptSubmit");
  if (!isPrompt && !event.isOperation && !event.isEnd) return answer;
  const state = request.state;
  if (event.isEnd) {
    if (state) answer.notes = summary(Statistics.parse(state), event.time);
    return answer;
  }
  const statistics = state ? Statistics.parse(state) : new Statistics(event.time);
  if (isPrompt) statistics.prompts++;
  else note(event, settings, statistics, answer);
  answer.state = statistics.encode();
  return answer;
}

/** Counts the operation, and says what is to be said about it. */
function note(event: Event, settings: Settings, statistics: Statistics, answer: Answer): void {
  const input = event.input;
  const shown = input ? preview(input, PREVIEW) : new Text();
  statistics.count(new Operation(event.tool, shown, event.failed), event.duration, settings.operations);
  if (settings.audit) answer.notes.push(audit(event, shown));
  if (!input || input.kind != Kind.Map || !isAlertTool(event.tool, settings.alertTools)) return;
  const paths = alerts(input, event.cwd, settings.alertPaths);
  for (let i = 0; i < paths.length; i++) {
    answer.notes.push(new Buffer().say("alert: ").add(event.tool.cut(PREVIEW)).say(" at ").add(paths[i]).text);
  }
}

function audit(event: Event, shown: Text): Text {
  const line = new Buffer().add(event.tool.cut(PREVIEW)).say(event.failed ? " failed" : " ran");
  if (event.duration >= 0) line.say(" for ").count(<u64>Math.min(event.duration, 1e12)).say(" ms");
  if (event.id.size) line.say(", id ").add(event.id.cut(PREVIEW));
  line.say(", input ").add(shown);
  const output = event.output;
  if (output) line.say(", result ").add(preview(output, PREVIEW));
  return line.text;
}

/** Whether a tool's result says that it failed: those of MCP servers and of older agents do. */
function saysError(output: Value | null): bool {
  if (!output || output.kind != Kind.Map) return false;
  const found = output.fields(["is_error", "isError"]);
  return isTrue(found[0]) || isTrue(found[1]);
}

function isTrue(value: Value | null): bool {
  return value != null && value.kind == Kind.Boolean && value.boolean();
}

function isAlertTool(tool: Text, patterns: Text[]): bool {
  for (let i = 0; i < patterns.length; i++) {
    const pattern = patterns[i];
    const last = pattern.size - 1;
    const isPrefix = last >= 0 && pattern.at(last) == 0x2a; // *
    if (isPrefix ? tool.startsWith(pattern.slice(0, last)) : tool.equals(pattern)) return true;
  }
  return false;
}
