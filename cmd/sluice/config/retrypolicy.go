package config

// retryClasses are the fields of LiteLLM's RetryPolicy.
//
// https://docs.litellm.ai/docs/routing#advanced-custom-retries-cooldowns-based-on-error-type
var retryClasses = []string{
	"BadRequestErrorRetries", "AuthenticationErrorRetries", "TimeoutErrorRetries", "RateLimitErrorRetries",
	"ContentPolicyViolationErrorRetries", "InternalServerErrorRetries", "ServiceUnavailableErrorRetries",
	"NotFoundErrorRetries", "DefaultRetries",
}

// retryPolicy reads how often each class of error is retried; a class that is null is not in it.
func (r *reader) retryPolicy(v *value, path string) map[string]int {
	if v.kind != mapping {
		r.fault(v, path, "must be a mapping such as {RateLimitErrorRetries: 3, TimeoutErrorRetries: 1}, not %s", v.kind)
		return nil
	}
	out := map[string]int{}
	fs := fields{}
	for _, class := range retryClasses {
		fs[class] = func(v *value, at string) {
			if v.kind != null {
				out[class] = r.count(v, at)
			}
		}
	}
	r.mapping(v, path, fs, func(m member, at string) { r.unknown(m, at, "class of a retry policy", retryClasses) }, false)
	return out
}

func (r *reader) groupRetryPolicy(v *value, path string) map[string]map[string]int {
	if v.kind != mapping {
		r.fault(v, path, "must be a mapping of model groups to retry policies, not %s", v.kind)
		return nil
	}
	out := map[string]map[string]int{}
	for _, m := range v.members {
		out[m.name] = r.retryPolicy(m.v, path+"."+printable(m.name))
	}
	return out
}
