// What a policy says. Only what was set is written.

export class Answer {
  #said;

  constructor(effect, reason) {
    this.#said = { effect };
    if (reason !== undefined) this.because(reason);
  }

  because(reason) {
    return this.#say("reason", text(reason));
  }

  rewrite(field, value) {
    if (value === undefined) throw new TypeError(`a rewrite of ${field} wants a value`);
    const fields = (this.#said.rewrite ??= Object.create(null));
    fields[text(field)] = value;
    return this;
  }

  rewriteOutput(value) {
    return this.#say("rewrite_output", value);
  }

  context(said) {
    return this.#say("context", text(said));
  }

  note(said) {
    (this.#said.notes ??= []).push(text(said));
    return this;
  }

  remember(state) {
    if (!(state instanceof Uint8Array)) throw new TypeError("what is remembered is a Uint8Array");
    return this.#say("state", state);
  }

  interrupt() {
    return this.#say("interrupt", true);
  }

  /** The answer as plain data, for the encoder. */
  get said() {
    return this.#said;
  }

  #say(key, value) {
    this.#said[key] = value;
    return this;
  }
}

export const pass = () => new Answer("pass");
export const allow = (reason) => new Answer("allow", reason);
export const ask = (reason) => new Answer("ask", reason);
export const deny = (reason) => new Answer("deny", reason);
export const rewrite = (field, value, reason) => new Answer("pass", reason).rewrite(field, value);

function text(value) {
  if (typeof value !== "string") throw new TypeError(`an answer wants a text here, not ${typeof value}`);
  return value;
}
