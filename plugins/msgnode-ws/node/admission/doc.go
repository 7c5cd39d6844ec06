// Package admission decides who may use a node: anyone, runtimes on a list, or runtimes with a token of the operator.
//
// [Rules] are the operator's, [Policy] decides by them, and a [Token] is an invitation, signed with the key in a [KeyFile]. A
// [Guest] says what an admitted runtime may do. How often a token has been used is not kept here.
package admission
