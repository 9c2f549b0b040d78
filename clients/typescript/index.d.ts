/** wasmguard for the Claude Agent SDK: what the daemon on this machine decides, as `canUseTool` and as hooks. */

type Json = Record<string, unknown>;

export interface Connection {
  /** `http://127.0.0.1:PORT`, where the daemon listens. By default `$WASMGUARD_URL`, else where it was installed. */
  url?: string;
  /** The daemon's token. By default what is in `tokenFile`. */
  token?: string;
  /** A file of this user's alone (0600). By default the one in wasmguard's state folder. */
  tokenFile?: string;
  /** Milliseconds for an answer; without one by then the call is denied. By default 25 000. */
  timeoutMs?: number;
  /** The agent's `CLAUDE_CONFIG_DIR`, if it is not this process's: its settings are protected there. */
  configDir?: string;
  /** The user that the daemon runs as, by number. By default this one; another one's port is sent nothing (Linux). */
  daemonUser?: number;
}

/** The events of Claude Code 2.1.330, but for WorktreeCreate: who hooks that has to make the worktree. */
export declare const EVENTS: readonly EventName[];

export type EventName =
  | "PreToolUse"
  | "PostToolUse"
  | "PostToolUseFailure"
  | "PostToolBatch"
  | "PermissionRequest"
  | "PermissionDenied"
  | "UserPromptSubmit"
  | "UserPromptExpansion"
  | "SessionStart"
  | "SessionEnd"
  | "Setup"
  | "Stop"
  | "StopFailure"
  | "SubagentStart"
  | "SubagentStop"
  | "PreCompact"
  | "PostCompact"
  | "PreModelSwitch"
  | "PostModelSwitch"
  | "Notification"
  | "ConfigChange"
  | "TaskCreated"
  | "TaskCompleted"
  | "TeammateIdle"
  | "Elicitation"
  | "ElicitationResult"
  | "WorktreeRemove"
  | "CwdChanged"
  | "FileChanged"
  | "DirectoryAdded"
  | "InstructionsLoaded"
  | "MessageDisplay";

/** A hook's event, as the SDK gives it. */
export interface HookEvent {
  hook_event_name: string;
}

/** A hook's answer, as the SDK takes it. `{}` is no opinion. */
export interface HookAnswer {
  continue?: false;
  stopReason?: string;
  decision?: "block";
  reason?: string;
  systemMessage?: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the SDK has a type for each event
  hookSpecificOutput?: any;
}

export type HookCallback = (
  event: HookEvent,
  toolUseID?: string,
  options?: { signal?: AbortSignal },
) => Promise<HookAnswer>;

export interface HookGroup {
  matcher?: string;
  hooks: HookCallback[];
  timeout: number;
  onFailure: "block";
}

export type Hooks = { [name in EventName]?: HookGroup[] };

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the SDK's own type of permission updates is passed on
type PermissionUpdates = any[];

export type Permission =
  | { behavior: "allow"; updatedInput?: Json; updatedPermissions?: PermissionUpdates }
  | { behavior: "deny"; message: string; interrupt?: boolean };

export interface CallOptions {
  signal?: AbortSignal;
  suggestions?: PermissionUpdates;
  toolUseID?: string;
  agentID?: string;
  mcpServer?: { name: string; source: string };
}

/** Both forms in which SDKs ask. */
export interface CanUseTool {
  (toolName: string, input: Json, options?: CallOptions): Promise<Permission>;
  (call: { toolName: string; input: Json } & CallOptions): Promise<Permission>;
}

/** Who is asked when the policies want somebody asked, or have no opinion. `options.message` says why. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- any `canUseTool` that the caller has, in either form
export type Human = (...asked: any[]) => Promise<Permission | null> | Permission | null;

/** What `canUseTool` is not told, for callers without our hooks; and what a call is that no policy speaks about. */
export interface About {
  sessionId?: string;
  transcriptPath?: string;
  cwd?: string;
  permissionMode?: string;
  agentType?: string;
  /** Where no human can be asked: `deny` (the default), or `pass`: a call runs that no policy speaks about. */
  unasked?: "deny" | "pass";
}

export interface Guard {
  /** A `canUseTool` for the SDK. Without a human, what should be asked is denied. */
  canUseTool(human?: Human, about?: About): CanUseTool;
  /** Hooks for the SDK, which fail closed, by default for all events. */
  hooks(options?: { events?: readonly EventName[] }): Hooks;
  /** `base`, guarded: hooks on all events, with yours folded into them, and `canUseTool`, with yours as the human. */
  options<Base extends object>(
    base?: Base,
    options?: { events?: readonly EventName[]; unasked?: "deny" | "pass" },
  ): Omit<Base, "hooks" | "canUseTool"> & { hooks: Hooks; canUseTool?: CanUseTool };
  /** What the policies answer to one event. Never rejects. */
  decide: HookCallbackOf;
  /** How the daemon is. Rejects if it does not answer. */
  status(): Promise<Json>;
  /** Let go of connections to the daemon. */
  close(): void;
}

type HookCallbackOf = (event: HookEvent, options?: { signal?: AbortSignal }) => Promise<HookAnswer>;

/** The guard that the daemon at `url` is. Throws if what is given cannot be meant. */
export declare function connect(connection?: Connection): Guard;
