// What a policy imports: README.md tells it from the beginning.
//
//     import { Answer, deny, pass, Request } from "../kit";
//
//     export function policy(request: Request): Answer {
//       return request.toolName == "Bash" ? deny("no shell here") : pass();
//     }

import * as glob from "./glob";
import * as path from "./path";

export { allow, Answer, ask, deny, pass, rewrite } from "./answer";
export { glob, path };
export { Request, textOf } from "./request";
export { Items, Kind, Value } from "./msgpack";
