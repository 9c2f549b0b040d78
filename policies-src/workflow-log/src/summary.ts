// What is said about a session when it stops, as notes: the whole, its tools (the most used first), its last
// operations.

import { Buffer, Text } from "../../sdk/assemblyscript/wasmguard";
import { Operation, Statistics, Tool } from "./statistics";

const MOST_TOOLS = 14; // with the first line, that of all others and 16 operations: 32, as many as an answer may have

/** The notes about `statistics` at `time`, in Unix milliseconds. */
export function summary(statistics: Statistics, time: u64): Text[] {
  const total = statistics.total;
  const notes = [overall(statistics, total, time)];
  const tools = statistics.tools.slice().sort((one, other) => compare(other.operations, one.operations));
  const others = new Tool(new Text());
  others.add(statistics.rest);
  for (let i = 0; i < tools.length; i++) {
    if (i < MOST_TOOLS) notes.push(about(tools[i].name, tools[i]));
    else others.add(tools[i]);
  }
  if (others.operations) notes.push(about(new Buffer().say("all other tools").text, others));
  const before = total.operations - statistics.operations.length;
  for (let i = 0; i < statistics.operations.length; i++) notes.push(entry(statistics.operations[i], before + i + 1));
  return notes;
}

function compare(one: u64, other: u64): i32 {
  return i32(one > other) - i32(one < other);
}

function overall(statistics: Statistics, total: Tool, time: u64): Text {
  const line = new Buffer().say("session of ");
  span(line, time > statistics.begun ? (time - statistics.begun) / 1000 : 0);
  counted(line.say(": "), statistics.prompts, "prompt");
  counted(line.say(", "), total.operations, "operation");
  counted(line.say(" with "), statistics.tools.length, "tool");
  if (statistics.rest.operations) line.say(" and more");
  errors(line.say(", "), total);
  return line.text;
}

function about(name: Text, tool: Tool): Text {
  const line = new Buffer().add(name);
  counted(line.say(": "), tool.operations, "operation");
  errors(line.say(", "), tool);
  if (tool.timed) line.say(", ").count(tool.duration / tool.timed).say(" ms on average");
  return line.text;
}

function entry(operation: Operation, number: u64): Text {
  const line = new Buffer().say("operation ").count(number).say(": ").add(operation.tool);
  if (operation.failed) line.say(" failed");
  return line.say(" ").add(operation.input).text;
}

function counted(line: Buffer, number: u64, what: string): void {
  line.count(number).say(" ").say(what);
  if (number != 1) line.say("s");
}

function errors(line: Buffer, tool: Tool): void {
  counted(line, tool.errors, "error");
  if (tool.errors) line.say(" (").count((100 * tool.errors) / tool.operations).say(" %)");
}

/** A time in hours, minutes and seconds. */
function span(line: Buffer, seconds: u64): void {
  if (seconds >= 3600) line.count(seconds / 3600).say(" h ");
  if (seconds >= 60) line.count((seconds / 60) % 60).say(" min ");
  line.count(seconds % 60).say(" s");
}
