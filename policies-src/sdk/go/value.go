package wasmguard

import (
	"bytes"
	"fmt"
	"math"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"
)

// Event is the whole event as maps, lists, texts, booleans, int64, float64, and nil for nothing. An integer that int64
// cannot hold is a uint64. What only needs some fields is cheaper with Text, InputText and the Decode methods.
func (r *Request) Event() map[string]any { return whole(r.event) }

// Input is the tool's input in the same form; nil if there is none.
func (r *Request) Input() map[string]any {
	if isNone(r.input) {
		return nil
	}
	return whole(r.input)
}

// Settings is all that the owner has set, in the same form.
func (r *Request) Settings() map[string]any { return whole(r.settings) }

// DecodeEvent puts the event's fields into the struct that into points to. Each goes to the field that is named by its
// tag, `wasmguard:"session_id"`; fields without a tag stay as they are, and so do those that the event has not or says
// nil for: what they hold before is the default. A value that does not fit its field is malformed: nothing is cut to
// size.
func (r *Request) DecodeEvent(into any) { decode(r.event, into) }

// DecodeInput does the same with the tool's input, if there is one.
func (r *Request) DecodeInput(into any) {
	if !isNone(r.input) {
		decode(r.input, into)
	}
}

// DecodeSettings does the same with the settings.
func (r *Request) DecodeSettings(into any) { decode(r.settings, into) }

func whole(mapping []byte) map[string]any {
	made, ok := plain(mapping).(map[string]any)
	if !ok {
		malformed("a map is missing")
	}
	return made
}

// decode fills a struct with those values of a map that it has a place for; the others are not even built.
func decode(mapping []byte, into any) {
	place := reflect.ValueOf(into)
	if place.Kind() != reflect.Pointer || place.IsNil() || place.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("wasmguard: decode into a pointer to a struct, not %T", into))
	}
	place = place.Elem()
	for i := range place.NumField() {
		name := place.Type().Field(i).Tag.Get("wasmguard")
		if name == "" {
			continue
		}
		if value := find(mapping, name); value != nil {
			fill(place.Field(i), plain(value), name)
		}
	}
}

// fill is stricter than the library, which cuts numbers to size and takes a list for a struct.
func fill(place reflect.Value, value any, name string) {
	if value == nil {
		return
	}
	fits := false
	switch place.Kind() {
	case reflect.Interface:
		if fits = place.NumMethod() == 0; fits {
			place.Set(reflect.ValueOf(value))
		}
	case reflect.Pointer:
		made := reflect.New(place.Type().Elem())
		fill(made.Elem(), value, name)
		place.Set(made)
		return
	case reflect.Struct:
		fits = fillStruct(place, value)
	case reflect.Slice:
		fits = fillSlice(place, value, name)
	case reflect.Map:
		fits = fillMap(place, value, name)
	default:
		fits = fillScalar(place, value)
	}
	if !fits {
		malformed("`" + name + "` does not fit " + place.Type().String())
	}
}

func fillScalar(place reflect.Value, value any) bool {
	switch given := value.(type) {
	case string:
		if place.Kind() == reflect.String {
			place.SetString(given)
			return true
		}
	case bool:
		if place.Kind() == reflect.Bool {
			place.SetBool(given)
			return true
		}
	case int64:
		return fillInteger(place, given)
	case uint64:
		if place.CanUint() && !place.OverflowUint(given) {
			place.SetUint(given)
			return true
		}
	case float64:
		if place.CanFloat() && !place.OverflowFloat(given) {
			place.SetFloat(given)
			return true
		}
	}
	return false
}

func fillInteger(place reflect.Value, given int64) bool {
	switch {
	case place.CanInt() && !place.OverflowInt(given):
		place.SetInt(given)
	case place.CanUint() && given >= 0 && !place.OverflowUint(uint64(given)):
		place.SetUint(uint64(given))
	case place.Kind() == reflect.Float64 && given >= -1<<53 && given <= 1<<53:
		place.SetFloat(float64(given))
	default:
		return false
	}
	return true
}

func fillStruct(place reflect.Value, value any) bool {
	given, ok := value.(map[string]any)
	for i := range place.NumField() {
		if name := place.Type().Field(i).Tag.Get("wasmguard"); ok && name != "" {
			fill(place.Field(i), given[name], name)
		}
	}
	return ok
}

func fillSlice(place reflect.Value, value any, name string) bool {
	given, ok := value.([]any)
	if !ok {
		return false
	}
	made := reflect.MakeSlice(place.Type(), len(given), len(given))
	for i, item := range given {
		fill(made.Index(i), item, name)
	}
	place.Set(made)
	return true
}

func fillMap(place reflect.Value, value any, name string) bool {
	given, ok := value.(map[string]any)
	if !ok || place.Type().Key().Kind() != reflect.String {
		return false
	}
	made := reflect.MakeMapWithSize(place.Type(), len(given))
	for key, item := range given {
		held := reflect.New(place.Type().Elem()).Elem()
		fill(held, item, name)
		made.SetMapIndex(reflect.ValueOf(key).Convert(place.Type().Key()), held)
	}
	place.Set(made)
	return true
}

// plain is a value of a request, which was walked over once and is checked here for what the walk did not look at.
func plain(value []byte) any {
	(&reader{data: value}).check()
	decoder := msgpack.NewDecoder(bytes.NewReader(value))
	decoder.UseLooseInterfaceDecoding(true) // for what is inside
	made, err := decoder.DecodeInterfaceLoose()
	if err != nil {
		malformed(err.Error())
	}
	return signed(made)
}

// check walks over a value: every text in it is UTF-8, and no map has a key twice.
func (r *reader) check() {
	switch h := r.head(); h.kind {
	case isMap:
		seen := make(map[string]bool, min(h.inside, 64))
		for range h.inside {
			key := text(r.raw())
			if seen[key] {
				malformed("a key stands there twice")
			}
			seen[key] = true
			r.check()
		}
	case isList:
		for range h.inside {
			r.check()
		}
	case isText:
		text(r.take(h.inside))
	case isBinary:
		malformed("binary, which JSON has not")
	default:
		r.take(h.inside)
	}
}

// signed makes int64 of every integer that fits: the library makes two types of them, by how they were written.
func signed(value any) any {
	switch given := value.(type) {
	case uint64:
		if given <= math.MaxInt64 {
			return int64(given)
		}
	case []any:
		for i, item := range given {
			given[i] = signed(item)
		}
	case map[string]any:
		for key, item := range given {
			given[key] = signed(item)
		}
	}
	return value
}

// integer reads an integer, or traps: one that int cannot hold is malformed.
func integer(value []byte) int {
	r := reader{data: value}
	h := r.head()
	if h.kind != isInteger {
		malformed("an integer is missing")
	}
	n := r.number(h.inside)
	switch {
	case h.inside == 0:
		return int(int8(h.code))
	case h.code >= 0xd0: // signed
		shift := 64 - 8*h.inside
		return n << shift >> shift
	case n < 0:
		malformed("an integer is too big")
	}
	return n
}

func truth(value []byte) bool {
	h := (&reader{data: value}).head()
	if h.kind != isBool {
		malformed("a boolean is missing")
	}
	return h.code == 0xc3
}

// binary is what a state holds; nil for nil.
func binary(value []byte) []byte {
	if isNone(value) {
		return nil
	}
	r := reader{data: value}
	h := r.head()
	if h.kind != isBinary {
		malformed("a binary is missing")
	}
	return r.take(h.inside)
}
