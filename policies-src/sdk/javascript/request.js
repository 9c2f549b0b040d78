// What a policy is asked. A field is decoded when it is read, and a wrong type of it throws then.

import { Malformed, Reader } from "./reader.js";

const KNOWN = { event: { tool_input: {} }, settings: {} };

export class Request {
  #event;
  #settings;
  #input;
  #top;
  #known = new Map();

  constructor(bytes) {
    const reader = new Reader(bytes);
    const top = reader.map(0, KNOWN);
    if (top.end !== bytes.length) throw new Malformed("it is cut off, or something follows it");
    if (top.value("abi") !== 1 || top.isFloat("abi")) throw new Malformed("abi is not 1");
    this.#event = top.map("event");
    this.#settings = top.map("settings");
    const state = top.value("state");
    if (!this.#event || !this.#settings || state === undefined) throw new Malformed("a part of it is missing");
    if (state !== null && !(state instanceof Uint8Array)) throw new Malformed("state is no binary");
    this.state = state;
    this.#top = top;
  }

  get eventName() {
    return this.#textOfEvent("hook_event_name");
  }

  get toolName() {
    return this.#textOfEvent("tool_name");
  }

  get cwd() {
    return this.#textOfEvent("cwd");
  }

  inputText(field) {
    this.#input ??= this.#event.map("tool_input") ?? null;
    return this.#input?.text(field);
  }

  get toolInput() {
    return this.#once("tool_input", () => this.#event.value("tool_input") ?? {});
  }

  get event() {
    return this.#once("event", () => this.#top.value("event"));
  }

  get settings() {
    return this.#once("settings", () => this.#top.value("settings"));
  }

  settingText(name) {
    return this.#setting(name, (value) => typeof value === "string");
  }

  settingBoolean(name) {
    return this.#setting(name, (value) => typeof value === "boolean");
  }

  settingInteger(name) {
    return this.#setting(name, Number.isSafeInteger);
  }

  settingTexts(name) {
    return this.#setting(name, (value) => Array.isArray(value) && value.every((text) => typeof text === "string"));
  }

  #textOfEvent(field) {
    const value = this.#once(`.${field}`, () => this.#event.value(field)) ?? undefined;
    if (value !== undefined && typeof value !== "string") throw new Malformed(`${field} is no text`);
    return value;
  }

  #setting(name, fits) {
    const value = this.#once(`=${name}`, () => this.#settings.value(name));
    if (value !== undefined && !fits(value)) throw new Malformed(`the setting ${name} is of another type`);
    return value;
  }

  #once(key, read) {
    if (!this.#known.has(key)) this.#known.set(key, read());
    return this.#known.get(key);
  }
}
