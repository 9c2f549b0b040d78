// What the owner set.

import { Text, unlessNil, Value } from "../../sdk/assemblyscript/wasmguard";

export const MOST_OPERATIONS = 16; // more would not fit into the notes of one answer

export class Settings {
  operations: i32 = MOST_OPERATIONS;
  audit: bool = false;
  alertTools: Text[] = [];
  alertPaths: Text[] = [];

  static parse(value: Value): Settings {
    const found = value.fields(["operations", "audit", "alert_tools", "alert_paths"]);
    const made = new Settings();
    const operations = unlessNil(found[0]);
    const audit = unlessNil(found[1]);
    if (operations) made.operations = <i32>max(0, min(operations.integer(), MOST_OPERATIONS));
    if (audit) made.audit = audit.boolean();
    made.alertTools = textsOf(found[2]);
    made.alertPaths = textsOf(found[3]);
    return made;
  }
}

function textsOf(value: Value | null): Text[] {
  const given = unlessNil(value);
  const texts: Text[] = [];
  const items = given ? given.list() : [];
  for (let i = 0; i < items.length; i++) texts.push(items[i].text());
  return texts;
}
