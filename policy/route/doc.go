// Package route turns "this caller asks for that model" into a [Plan]: an immutable, ordered list of
// attempts.
//
// A [Table] is built once per configuration: deployments in model groups, wildcard groups, aliases,
// fallbacks and a [Strategy]. [Health] outlives tables; it is told how attempts ended ([Outcome]) and
// says which deployments are cooling down. [Table.Plan] joins the two: attempt 1 by the strategy, the
// rest of the group, then the fallback groups. The rules are LiteLLM's
// (https://docs.litellm.ai/docs/routing), and where they differ the comment at that place says why.
//
// It leaves alone what is sent: bodies, providers, credentials and dialects are known to it only through
// the caller's Ask.Can, and it dispatches and retries nothing itself.
package route
