// Package object is what a data object is made of: its [Metadata], its data as a [Document], and the [Update] that
// changes one attribute of it (specification, "Reporter-observer protocol" and "Trickle"). The syncher in a component
// and the sync manager in the core share it, so that a reporter, the two runtimes and every observer apply a change
// alike.
//
// # Attribute paths
//
// An attribute is named by a path of elements with dots between them: "connectionDescription.sdp",
// "iceCandidates.2". In an array an element is an index. An element that begins with <scheme>:// is an address: it
// reaches to the longest key that the object there has, and where it has none, to the end of the path. Objects on the
// way that do not exist are made, unless something is to be removed.
//
// A path that begins with a dot is escaped: every element is a key as it is, but for `\.`, which is a dot, and `\\`, a
// backslash. So there is a path to every key: ".versions.1\.0" leads to the member "1.0" of "versions". [Path] makes it. To
// implementations that do not know this form it is no path, since its first element is empty: they refuse the update, and fetch the
// object anew.
//
// # Hashes
//
// Each update has the hash of the data with the change in it. Whoever has applied the update and has another one differs from
// the reporter, and asks for the whole value. A hash tells accidents, and proves nothing. It is 64 bits, written as 16 hexadecimal
// digits. All sums and products are modulo 2^64.
//
//	mix(x)      x ^= x>>30; x *= 0xbf58476d1ce4e5b9; x ^= x>>27; x *= 0x94d049bb133111eb; x ^= x>>31
//	text(s)     h = mix(bytes of s + B); then for each 8 bytes w of s, little-endian, the last ones filled up with zeros: h = mix(h ^ w)
//	null        mix(1)
//	false       mix(2)
//	true        mix(3)
//	a number    mix(text(it as it is written) + 4)
//	a string    mix(text(it, as UTF-8) + 5)
//	an array    mix(the sum of hash(element i) * B^i + 6)
//	an object   mix(the sum of mix(text(key) + hash(value)) + 7)
//
// B is 0x9e3779b97f4a7c15. A change costs what the change is, and a walk over the elements of an array before or behind the place
// where some are added or removed, whichever are fewer.
//
// # Limits
//
// Data is at most [MaxData] bytes of JSON and [MaxDepth] levels deep, a path at most [MaxPath] bytes. A change that
// would break a limit is refused and changes nothing.
package object
