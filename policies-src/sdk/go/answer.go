package wasmguard

import (
	"bytes"

	"github.com/vmihailenco/msgpack/v5"
)

// Answer is what a policy says. Its methods return the answer with something added; the zero Answer is a pass.
type Answer struct {
	effect, reason, context string
	rewrite                 []field
	output                  any
	notes                   []string
	permissions             []any
	state                   []byte
	interrupts, remembers   bool
}

type field struct {
	name  string
	value any
}

// Pass is no opinion: the agent's own permissions go on.
func Pass() Answer { return Answer{} }

// Allow approves the call, if the owner has granted that; without the grant it is a pass.
func Allow(reason string) Answer { return Answer{effect: "allow", reason: reason} }

// Ask has the person decide.
func Ask(reason string) Answer { return Answer{effect: "ask", reason: reason} }

// Deny stops the call. The model reads the reason: say what to do instead.
func Deny(reason string) Answer { return Answer{effect: "deny", reason: reason} }

// Because gives the answer another reason: one line, for the owner and the model.
func (a Answer) Because(reason string) Answer {
	a.reason = reason
	return a
}

// Rewrite passes the call on with another value in a field of the tool's input.
func Rewrite(name string, value any, reason string) Answer {
	return Answer{reason: reason}.Rewrite(name, value)
}

// Rewrite puts another value in a field of the tool's input, which must be there already. The owner must have granted
// it. A value is a text, a boolean, a number, nil, or a list or a map[string]any of such.
func (a Answer) Rewrite(name string, value any) Answer {
	fields := make([]field, 0, len(a.rewrite)+1) // never that of the answer this one was made from
	for _, other := range a.rewrite {
		if other.name != name {
			fields = append(fields, other)
		}
	}
	a.rewrite = append(fields, field{name, value})
	return a
}

// RewriteOutput puts another value in the place of the tool's output: the changed fields of a map, or a whole text or
// list.
func (a Answer) RewriteOutput(value any) Answer {
	a.output = value
	return a
}

// Context adds a text that the model reads, where the event takes one.
func (a Answer) Context(text string) Answer {
	a.context = text
	return a
}

// Note adds a line to the record, which nobody else sees.
func (a Answer) Note(line string) Answer {
	a.notes = append(a.notes[:len(a.notes):len(a.notes)], line)
	return a
}

// Remember keeps bytes until the next event, whose State they are. None at all forget what was kept.
func (a Answer) Remember(state []byte) Answer {
	a.state, a.remembers = state, true
	return a
}

// Interrupt stops the agent's run with a deny, where the agent can do that.
func (a Answer) Interrupt() Answer {
	a.interrupts = true
	return a
}

// Permissions adds permission updates to an allow, in the agent's own form. They need a grant of their own.
func (a Answer) Permissions(updates ...any) Answer {
	a.permissions = append(a.permissions[:len(a.permissions):len(a.permissions)], updates...)
	return a
}

// encode writes the keys that were set, and no others.
func (a Answer) encode() []byte {
	keys := 0
	for _, set := range a.set() {
		if set {
			keys++
		}
	}
	var out bytes.Buffer
	out.Grow(256)
	w := writer{msgpack.NewEncoder(&out)}
	w.must(w.EncodeMapLen(keys))
	w.text("effect", a.effect)
	w.text("reason", a.reason)
	w.text("context", a.context)
	if len(a.rewrite) > 0 {
		w.must(w.EncodeString("rewrite"))
		w.must(w.EncodeMapLen(len(a.rewrite)))
		for _, field := range a.rewrite {
			w.any(field.name, field.value)
		}
	}
	if a.output != nil {
		w.any("rewrite_output", a.output)
	}
	if len(a.notes) > 0 {
		w.any("notes", a.notes)
	}
	if len(a.permissions) > 0 {
		w.any("permissions", a.permissions)
	}
	if a.remembers {
		w.must(w.EncodeString("state"))
		w.must(w.EncodeBytes(append([]byte{}, a.state...))) // nil would be nil, and not empty
	}
	if a.interrupts {
		w.any("interrupt", true)
	}
	return out.Bytes()
}

func (a Answer) set() [9]bool {
	return [...]bool{
		a.effect != "", a.reason != "", a.context != "", len(a.rewrite) > 0, a.output != nil, len(a.notes) > 0,
		len(a.permissions) > 0, a.remembers, a.interrupts,
	}
}

type writer struct{ *msgpack.Encoder }

func (w writer) text(key, value string) {
	if value != "" {
		w.must(w.EncodeString(key))
		w.must(w.EncodeString(value))
	}
}

func (w writer) any(key string, value any) {
	w.must(w.EncodeString(key))
	w.SetSortMapKeys(true) // one answer, whatever the order of a map
	w.must(w.Encode(value))
}

func (w writer) must(err error) {
	if err != nil {
		panic("wasmguard: the answer cannot be written: " + err.Error())
	}
}
