// What a policy says.

import { Text, Writer } from "./wasmguard";

/** A value that stands somewhere else from now on, in msgpack. */
class Field {
  constructor(
    readonly name: string,
    readonly value: Text,
  ) {}
}

/** Made by `pass`, `allow`, `ask`, `deny` and `rewrite`; everything else can be added to any of them. */
export class Answer {
  private interrupts: bool = false;
  private contextText: string = "";
  private state: ArrayBuffer | null = null;
  private notes: string[] | null = null;
  private rewritten: Field[] | null = null;
  private output: Text | null = null;
  private outputFields: Field[] | null = null;

  constructor(
    private effect: string = "pass",
    private reason: string = "",
  ) {}

  /** Why: one line for the owner and the model. */
  because(reason: string): Answer {
    this.reason = reason;
    return this;
  }

  /** This field of the tool's input is `value` from now on: a text, a boolean or an integer. */
  rewrite<T>(field: string, value: T): Answer {
    this.rewritten = added<Field>(this.rewritten, new Field(field, encoded<T>(value)));
    return this;
  }

  /** The tool's output is this text from now on. */
  rewriteOutput(text: string): Answer {
    this.output = encoded<string>(text);
    return this;
  }

  /** This field of the tool's output is `value` from now on, where the output is a map. */
  rewriteOutputField<T>(field: string, value: T): Answer {
    this.outputFields = added<Field>(this.outputFields, new Field(field, encoded<T>(value)));
    return this;
  }

  /** Text for the model, where the event takes it. */
  context(text: string): Answer {
    this.contextText = text;
    return this;
  }

  /** One line for the record. */
  note(text: string): Answer {
    this.notes = added<string>(this.notes, text);
    return this;
  }

  /** The policy gets these bytes with the next event. Its manifest has to ask for `state`. */
  remember(bytes: ArrayBuffer): Answer {
    this.state = bytes;
    return this;
  }

  /** With a deny: the run ends. */
  interrupt(): Answer {
    this.interrupts = true;
    return this;
  }

  encode(): Text {
    const writer = new Writer();
    writer.map(1 + this.count());
    writer.key("effect");
    writer.key(this.effect);
    if (this.reason.length) textEntry(writer, "reason", this.reason);
    if (this.contextText.length) textEntry(writer, "context", this.contextText);
    if (this.interrupts) {
      writer.key("interrupt");
      writer.boolean(true);
    }
    const rewritten = this.rewritten;
    const outputFields = this.outputFields;
    const output = this.output;
    const state = this.state;
    const notes = this.notes;
    if (rewritten) fieldsEntry(writer, "rewrite", rewritten);
    if (output) {
      writer.key("rewrite_output");
      writer.buffer.add(output);
    } else if (outputFields) fieldsEntry(writer, "rewrite_output", outputFields);
    if (state) {
      writer.key("state");
      writer.binary(new Text(changetype<usize>(state), state.byteLength));
    }
    if (notes) {
      writer.key("notes");
      writer.list(notes.length);
      for (let i = 0; i < notes.length; i++) write(writer, notes[i]);
    }
    return writer.buffer.text;
  }

  /** How many entries there are besides the effect. */
  private count(): i32 {
    return i32(this.reason.length > 0) + i32(this.contextText.length > 0) + i32(this.interrupts) +
      i32(this.rewritten != null) + i32(this.output != null || this.outputFields != null) +
      i32(this.state != null) + i32(this.notes != null);
  }
}

/** No opinion: the agent's own permission system goes on. */
export function pass(): Answer {
  return new Answer();
}

/** The call may run. Its owner has to grant `allow`. */
export function allow(reason: string): Answer {
  return new Answer("allow", reason);
}

/** A human is asked. */
export function ask(reason: string): Answer {
  return new Answer("ask", reason);
}

/** The call does not run. */
export function deny(reason: string): Answer {
  return new Answer("deny", reason);
}

/** The call runs with another input: see `Answer.rewrite`. */
export function rewrite<T>(field: string, value: T): Answer {
  return new Answer().rewrite<T>(field, value);
}

function added<T>(items: T[] | null, one: T): T[] {
  const made = items || [];
  made.push(one);
  return made;
}

function textEntry(writer: Writer, key: string, text: string): void {
  writer.key(key);
  write(writer, text);
}

function fieldsEntry(writer: Writer, key: string, fields: Field[]): void {
  writer.key(key);
  writer.map(fields.length);
  for (let i = 0; i < fields.length; i++) {
    write(writer, fields[i].name);
    writer.buffer.add(fields[i].value);
  }
}

/** Half a character of UTF-16 becomes bytes that are no UTF-8: then the host refuses the answer. */
function write(writer: Writer, text: string): void {
  const bytes = String.UTF8.encode(text);
  writer.text(new Text(changetype<usize>(bytes), bytes.byteLength));
}

function encoded<T>(value: T): Text {
  const writer = new Writer();
  if (isString<T>()) write(writer, changetype<string>(value));
  else if (isBoolean<T>()) writer.boolean(<bool>value);
  else if (isInteger<T>()) {
    if (isSigned<T>() && value < 0) writer.negative(<i64>value);
    else writer.unsigned(<u64>value);
  } else ERROR("a field becomes a text, a boolean or an integer");
  return writer.buffer.text;
}
