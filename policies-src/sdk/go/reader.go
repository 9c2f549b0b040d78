package wasmguard

import (
	"unicode/utf8"
	"unsafe"
)

// Deeper than any event of the host, which ends at 64 levels.
const deepest = 128

type kind uint8

const (
	isNil kind = iota
	isBool
	isInteger
	isFloat
	isText
	isBinary
	isList
	isMap
)

// head is what a value begins with. There are no ext types in a request.
type head struct {
	kind   kind
	code   byte
	inside int // bytes that follow; of a list its items, of a map its pairs
}

// reader walks over msgpack where it lies. The library would copy what is skipped, and takes texts that are not UTF-8,
// keys that are not text, keys twice and ext types; here all that is malformed.
type reader struct {
	data []byte
	at   int
}

func (r *reader) take(size int) []byte {
	start := r.at
	if size > len(r.data)-start {
		malformed("it ends too early")
	}
	r.at = start + size
	return r.data[start:r.at:r.at]
}

func (r *reader) number(width int) int {
	sum := 0
	for _, b := range r.take(width) {
		sum = sum<<8 | int(b)
	}
	return sum
}

func (r *reader) head() head {
	if r.at >= len(r.data) {
		malformed("it ends too early")
	}
	code := r.data[r.at]
	r.at++
	switch {
	case code <= 0x7f || code >= 0xe0:
		return head{isInteger, code, 0}
	case code <= 0x8f:
		return head{isMap, code, int(code & 0x0f)}
	case code <= 0x9f:
		return head{isList, code, int(code & 0x0f)}
	case code <= 0xbf:
		return head{isText, code, int(code & 0x1f)}
	}
	switch code {
	case 0xc0:
		return head{isNil, code, 0}
	case 0xc2, 0xc3:
		return head{isBool, code, 0}
	case 0xc4, 0xc5, 0xc6:
		return head{isBinary, code, r.number(1 << (code - 0xc4))}
	case 0xca, 0xcb:
		return head{isFloat, code, 4 << (code - 0xca)}
	case 0xcc, 0xcd, 0xce, 0xcf:
		return head{isInteger, code, 1 << (code - 0xcc)}
	case 0xd0, 0xd1, 0xd2, 0xd3:
		return head{isInteger, code, 1 << (code - 0xd0)}
	case 0xd9, 0xda, 0xdb:
		return head{isText, code, r.number(1 << (code - 0xd9))}
	case 0xdc, 0xdd:
		return head{isList, code, r.number(2 << (code - 0xdc))}
	case 0xde, 0xdf:
		return head{isMap, code, r.number(2 << (code - 0xde))}
	}
	malformed("a value of no type that JSON has")
	return head{}
}

// mapping is the number of pairs of the map that begins here; they follow.
func (r *reader) mapping() int {
	h := r.head()
	if h.kind != isMap {
		malformed("a map is missing")
	}
	return h.inside
}

// list is the number of items of the list that begins here; they follow.
func (r *reader) list() int {
	h := r.head()
	if h.kind != isList {
		malformed("a list is missing")
	}
	return h.inside
}

// raw is the bytes of the text that begins here, which may not be UTF-8.
func (r *reader) raw() []byte {
	h := r.head()
	if h.kind != isText {
		malformed("a text is missing")
	}
	return r.take(h.inside)
}

// value is the bytes of one value with all that is in it.
func (r *reader) value() []byte {
	start := r.at
	r.skip(deepest)
	return r.data[start:r.at]
}

func (r *reader) skip(levels int) {
	h := r.head()
	if h.kind < isList {
		r.take(h.inside)
		return
	}
	if levels == 0 {
		malformed("nested too deep")
	}
	for range h.inside {
		if h.kind == isMap {
			r.raw()
		}
		r.skip(levels - 1)
	}
}

// text is a text without a copy: nobody writes to a request again.
func text(raw []byte) string {
	if !utf8.Valid(raw) {
		malformed("a text that is not UTF-8")
	}
	return unsafe.String(unsafe.SliceData(raw), len(raw))
}

// find is the bytes of the value at name in a map, or nil if there is none.
func find(mapping []byte, name string) []byte {
	var found []byte
	r := reader{data: mapping}
	for range r.mapping() {
		key, value := r.raw(), r.value()
		if string(key) != name {
			continue
		}
		once(&found, value)
	}
	return found
}

// once sets what was not set before.
func once(place *[]byte, value []byte) {
	if *place != nil {
		malformed("a key stands there twice")
	}
	*place = value
}
