// What is remembered of a session.
//
// As bytes it is a list in msgpack: a version, the time of the first event, how many prompts, the tools, the tools that
// found no place there, the last operations. Anything else traps: statistics that cannot be read are no empty ones.
//
// Names of tools are other people's (an MCP server may have any number): there are at most `MOST_TOOLS`, and no name is
// longer than `LONGEST_NAME`. So it never takes more than 12 KiB, whatever happens in a session.

import { parse, Text, Value, Writer } from "../../sdk/assemblyscript/wasmguard";

const VERSION = 1;
const MOST_TOOLS = 32;
const LONGEST_NAME = 100; // bytes

/** What was counted of one tool. */
export class Tool {
  operations: u64 = 0;
  errors: u64 = 0;
  /** How many of the operations said how long they took. */
  timed: u64 = 0;
  /** How long these took together, in milliseconds. */
  duration: u64 = 0;

  constructor(readonly name: Text) {}

  static parse(value: Value): Tool {
    const items = sized(value, 5);
    const made = new Tool(items[0].text());
    made.operations = items[1].unsigned();
    made.errors = items[2].unsigned();
    made.timed = items[3].unsigned();
    made.duration = items[4].unsigned();
    return made;
  }

  write(writer: Writer): void {
    writer.list(5);
    writer.text(this.name);
    writer.unsigned(this.operations);
    writer.unsigned(this.errors);
    writer.unsigned(this.timed);
    writer.unsigned(this.duration);
  }

  add(other: Tool): void {
    this.operations += other.operations;
    this.errors += other.errors;
    this.timed += other.timed;
    this.duration += other.duration;
  }
}

/** One call that has run. */
export class Operation {
  constructor(
    readonly tool: Text,
    /** The beginning of its input. */
    readonly input: Text,
    readonly failed: bool,
  ) {}

  static parse(value: Value): Operation {
    const items = sized(value, 3);
    return new Operation(items[0].text(), items[1].text(), items[2].boolean());
  }

  write(writer: Writer): void {
    writer.list(3);
    writer.text(this.tool);
    writer.text(this.input);
    writer.boolean(this.failed);
  }
}

export class Statistics {
  prompts: u64 = 0;
  tools: Tool[] = [];
  /** All further tools together. */
  rest: Tool = new Tool(new Text());
  /** The last ones, the latest at the end. */
  operations: Operation[] = [];

  constructor(
    /** When the first event came, Unix milliseconds. */
    readonly begun: u64,
  ) {}

  static parse(state: Text): Statistics {
    const items = sized(parse(state.start, state.size), 6);
    if (items[0].unsigned() != VERSION) unreachable();
    const made = new Statistics(items[1].unsigned());
    made.prompts = items[2].unsigned();
    const tools = items[3].list();
    for (let i = 0; i < tools.length; i++) made.tools.push(Tool.parse(tools[i]));
    made.rest = Tool.parse(items[4]);
    const operations = items[5].list();
    for (let i = 0; i < operations.length; i++) made.operations.push(Operation.parse(operations[i]));
    return made;
  }

  encode(): Text {
    const writer = new Writer();
    writer.list(6);
    writer.unsigned(VERSION);
    writer.unsigned(this.begun);
    writer.unsigned(this.prompts);
    writer.list(this.tools.length);
    for (let i = 0; i < this.tools.length; i++) this.tools[i].write(writer);
    this.rest.write(writer);
    writer.list(this.operations.length);
    for (let i = 0; i < this.operations.length; i++) this.operations[i].write(writer);
    return writer.buffer.text;
  }

  /** All tools together. */
  get total(): Tool {
    const sum = new Tool(new Text());
    sum.add(this.rest);
    for (let i = 0; i < this.tools.length; i++) sum.add(this.tools[i]);
    return sum;
  }

  /** Counts one operation; `duration` is in milliseconds, negative if unknown. Of the last ones `most` are kept. */
  count(operation: Operation, duration: f64, most: i32): void {
    const tool = this.toolCalled(operation.tool.cut(LONGEST_NAME));
    tool.operations++;
    if (operation.failed) tool.errors++;
    if (duration >= 0) {
      tool.timed++;
      tool.duration += <u64>Math.min(duration, LONGEST_DURATION);
    }
    this.operations.push(new Operation(operation.tool.cut(LONGEST_NAME), operation.input, operation.failed));
    while (this.operations.length > most) this.operations.shift();
  }

  private toolCalled(name: Text): Tool {
    for (let i = 0; i < this.tools.length; i++) if (this.tools[i].name.equals(name)) return this.tools[i];
    if (this.tools.length >= MOST_TOOLS) return this.rest;
    const made = new Tool(name);
    this.tools.push(made);
    return made;
  }
}

const LONGEST_DURATION: f64 = 1e12; // milliseconds: 30 years

/** The items of a list that has just so many. */
function sized(value: Value, count: i32): Value[] {
  const items = value.list();
  if (items.length != count) unreachable();
  return items;
}
