package main

import (
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/route"
)

// retryKinds are the kinds of error that LiteLLM's classes stand for. Its BadRequestError is the parent of the
// one for content, and of the one for prompts that are too long.
var retryKinds = map[string][]apierror.Kind{
	"BadRequestErrorRetries":             {apierror.BadRequest, apierror.TooLarge, apierror.ContextLength, apierror.ContentPolicy},
	"AuthenticationErrorRetries":         {apierror.Unauthenticated},
	"TimeoutErrorRetries":                {apierror.Timeout},
	"RateLimitErrorRetries":              {apierror.RateLimit},
	"ContentPolicyViolationErrorRetries": {apierror.ContentPolicy},
	"InternalServerErrorRetries":         {apierror.Internal, apierror.Unavailable, apierror.BadReply},
	"ServiceUnavailableErrorRetries":     {apierror.Overloaded},
	"NotFoundErrorRetries":               {apierror.NotFound},
	"DefaultRetries":                     {""},
}

func retryPolicy(classes map[string]int) route.RetryPolicy {
	if len(classes) == 0 {
		return nil
	}
	out := route.RetryPolicy{}
	add := func(class string) {
		if n, ok := classes[class]; ok {
			for _, kind := range retryKinds[class] {
				out[kind] = min(n, mostRetries)
			}
		}
	}
	const parent = "BadRequestErrorRetries"
	add(parent)
	for class := range classes {
		if class != parent {
			add(class)
		}
	}
	return out
}
