package wasmguard

// Request is one event, and what the owner of the policy has set. Its texts are the bytes of the request: they are
// good until the policy has answered, and nothing is copied or looked at before it is asked for.
type Request struct {
	event, settings []byte // one map each
	state           []byte
	name, tool      []byte // one text each, or nil
	cwd, input      []byte
}

// read checks that the bytes are one request of ABI 1, with nothing behind it.
func read(data []byte) *Request {
	var abi, event, settings, state []byte
	r := reader{data: data}
	for range r.mapping() {
		switch key := r.raw(); string(key) {
		case "abi":
			once(&abi, r.value())
		case "event":
			once(&event, r.value())
		case "settings":
			once(&settings, r.value())
		case "state":
			once(&state, r.value())
		default:
			r.value()
		}
	}
	if r.at != len(data) || abi == nil || event == nil || settings == nil || state == nil {
		malformed("no request")
	}
	if integer(abi) != 1 {
		malformed("another ABI")
	}
	(&reader{data: settings}).mapping()
	request := &Request{event: event, settings: settings, state: binary(state)}
	request.readEvent()
	return request
}

func (r *Request) readEvent() {
	event := reader{data: r.event}
	for range event.mapping() {
		key, value := event.raw(), event.value()
		switch string(key) {
		case "hook_event_name":
			once(&r.name, value)
		case "tool_name":
			once(&r.tool, value)
		case "cwd":
			once(&r.cwd, value)
		case "tool_input":
			once(&r.input, value)
		}
	}
}

// EventName is what happens: "PreToolUse", "UserPromptSubmit", and so on.
func (r *Request) EventName() string { return textOrNone(r.name) }

// ToolName is which tool is called; empty if the event is about none.
func (r *Request) ToolName() string { return textOrNone(r.tool) }

// Cwd is the folder that the agent works in; empty if it does not say.
func (r *Request) Cwd() string { return textOrNone(r.cwd) }

// Text is a text field of the event, such as "prompt" or "session_id". It is false where there is none, or no text.
func (r *Request) Text(field string) (string, bool) { return textIfAny(find(r.event, field)) }

// InputText is a text field of the tool's input, such as "file_path". It is false where there is none, or no text.
func (r *Request) InputText(field string) (string, bool) {
	if isNone(r.input) {
		return "", false
	}
	return textIfAny(find(r.input, field))
}

// State is what the policy remembered at an earlier event; nil if nothing.
func (r *Request) State() []byte { return r.state }

// SettingText is a setting, or otherwise where the owner says nothing. One of another type is malformed, as with the
// other settings.
func (r *Request) SettingText(name, otherwise string) string {
	if value := find(r.settings, name); value != nil {
		return text((&reader{data: value}).raw())
	}
	return otherwise
}

// SettingBool is a setting, or otherwise where the owner says nothing.
func (r *Request) SettingBool(name string, otherwise bool) bool {
	if value := find(r.settings, name); value != nil {
		return truth(value)
	}
	return otherwise
}

// SettingInteger is a setting, or otherwise where the owner says nothing.
func (r *Request) SettingInteger(name string, otherwise int) int {
	if value := find(r.settings, name); value != nil {
		return integer(value)
	}
	return otherwise
}

// SettingTexts is a setting that is a list of texts, or otherwise where the owner says nothing.
func (r *Request) SettingTexts(name string, otherwise ...string) []string {
	value := find(r.settings, name)
	if value == nil {
		return otherwise
	}
	list := reader{data: value}
	texts := make([]string, list.list())
	for i := range texts {
		texts[i] = text(list.raw())
	}
	return texts
}

// textOrNone is a text; empty for nothing and for nil.
func textOrNone(value []byte) string {
	if isNone(value) {
		return ""
	}
	return text((&reader{data: value}).raw())
}

func textIfAny(value []byte) (string, bool) {
	if value == nil || (&reader{data: value}).head().kind != isText {
		return "", false
	}
	return text((&reader{data: value}).raw()), true
}

func isNone(value []byte) bool {
	return value == nil || value[0] == 0xc0
}
