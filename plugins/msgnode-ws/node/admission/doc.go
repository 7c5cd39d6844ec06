// Package admission decides who may use a node: anyone, runtimes on a list, or runtimes with a token of the operator.
//
// [Rules] are what the operator says, [Policy] decides by them, and a [Token] is an invitation, signed with the key in a [KeyFile].
// What an admitted runtime may do is its [Guest]'s to say. How often a token has been used is not kept here.
package admission
