package object

import "encoding/binary"

// The hash of a value: 64 bits that tell whether two copies of an object are alike. The package's doc has the definition. It
// is made so that a change of one attribute costs what is changed, and what is copied on the way to it: an object's hash is a
// sum over its members, an array's a polynomial over its elements.

// What each kind of value adds before its bits are mixed.
const (
	hashNull   = 1
	hashFalse  = 2
	hashTrue   = 3
	hashNumber = 4
	hashString = 5
	hashArray  = 6
	hashObject = 7
)

// The base of the polynomial of an array, and its inverse modulo 2^64.
const (
	hashBase    uint64 = 0x9e3779b97f4a7c15
	hashInverse uint64 = 0xf1de83e19937733d
)

// hashSize is the length of a hash as it is written: hexadecimal digits.
const hashSize = 16

// mix spreads the bits of x: each bit of the result depends on all of x's (the last step of the generator SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hashText is the hash of a text: of its length, and of its bytes, eight at a time.
func hashText(s string) uint64 {
	h := mix(uint64(len(s)) + hashBase)
	for ; len(s) >= 8; s = s[8:] {
		word := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		h = mix(h ^ word)
	}
	if len(s) > 0 {
		var last [8]byte
		copy(last[:], s)
		h = mix(h ^ binary.LittleEndian.Uint64(last[:]))
	}
	return h
}

// hashMember is what a member adds to the sum of its object.
func hashMember(key string, value uint64) uint64 { return mix(hashText(key) + value) }

// power is base to the power n, modulo 2^64.
func power(base uint64, n int) uint64 {
	p := uint64(1)
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			p *= base
		}
		base *= base
	}
	return p
}

// polynomial is the sum of the hashes of the elements, the first of them times base to the power first.
func polynomial(elements []any, first int) (sum uint64) {
	p := power(hashBase, first)
	for _, v := range elements {
		sum += hashOf(v) * p
		p *= hashBase
	}
	return sum
}

// formatHash writes a hash.
func formatHash(h uint64) string {
	var text [hashSize]byte
	for i := range text {
		text[i] = "0123456789abcdef"[h>>(60-4*i)&15]
	}
	return string(text[:])
}

// differs tells whether said is a hash, and another one than h. What is no hash of this form says nothing.
func differs(said string, h uint64) bool {
	if len(said) != hashSize {
		return false
	}
	var v uint64
	for i := range hashSize {
		switch c := said[i]; {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return false
		}
	}
	return v != h
}
