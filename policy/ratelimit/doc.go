// Package ratelimit answers one question: may this call go on now, under all limits that hold for it, and if
// not, how long until it may?
//
// A [Limit] is so many requests, tokens or parallel requests for a [Scope]: a key, a team, a deployment … A call
// names all of its limits at once; [Limiter.Reserve] takes from each of them, or from none. Tokens are reserved
// by an estimate and corrected when the call has ended ([Limiter.Settle]); a call that never went anywhere gives
// back what it took ([Limiter.Cancel]). The count of a minute is a window that slides ([window]), so that no
// sixty seconds hold more than the limit, wherever they begin. README.md in this directory tells the rest.
//
// It leaves alone which limits a call has, what an estimate is, how a refusal looks to a client, and money.
package ratelimit
