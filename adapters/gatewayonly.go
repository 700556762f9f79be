package adapters

import "strings"

// gatewayOnly tells whether a request field is the gateway's alone and never goes to a provider:
// LiteLLM's all_litellm_params and the arguments of its completion() that steer the call.
func gatewayOnly(name string) bool {
	return gatewayFields[name] || strings.HasPrefix(name, "litellm_") || strings.HasPrefix(name, "mock_") ||
		strings.HasPrefix(name, "aws_") || strings.HasPrefix(name, "vertex_") || strings.HasPrefix(name, "langfuse_") || strings.HasPrefix(name, "langsmith_") ||
		strings.Contains(name, "_cost_per_")
}

var gatewayFields = setOf(
	// where and how it is sent
	"api_base", "base_url", "api_key", "api_version", "organization", "deployment_id", "headers",
	"extra_headers", "default_headers", "provider_specific_header", "custom_llm_provider", "region_name",
	"ssl_verify", "timeout", "request_timeout", "stream_timeout", "force_timeout", "max_retries", "client",
	"tenant_id", "client_id", "client_secret", "azure_ad_token", "use_chat_completions_api", "azure",
	"extra_body", "drop_params", "additional_drop_params", "allowed_openai_params",
	// routing
	"fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "context_window_fallback_dict",
	"disable_fallbacks", "num_retries", "max_fallbacks", "fallback_depth", "retry_after", "retry_policy", "retry_strategy",
	"routing_strategy", "cooldown_time", "allowed_model_region", "enable_tag_filtering", "fastest_response",
	"model_list", "model_info", "base_model", "specific_deployment", "rpm", "tpm", "max_parallel_requests",
	"weight", "order", "tags", "tag_regex", "silent_model", "use_in_pass_through",
	// cache, money, logs
	"cache", "caching", "caching_groups", "ttl", "cache_key", "preset_cache_key", "enable_prompt_caching",
	"max_budget", "budget_duration", "metadata", "id", "logger_fn", "verbose", "no-log", "model_alias_map",
	"proxy_server_request", "secret_fields", "turn_off_message_logging", "spend_logs_metadata",
	// guardrails, prompts, answers
	"guardrails", "guardrail_config", "prompt_id", "prompt_variables", "prompt_version", "prompt_label",
	"prompt_environment", "custom_prompt_dict", "roles", "final_prompt_value", "initial_prompt_value",
	"bos_token", "eos_token", "hf_model_name", "supports_system_message", "ensure_alternating_roles",
	"user_continue_message", "assistant_continue_message", "merge_reasoning_content_in_choices",
	"enable_json_schema_validation", "complete_response", "stream_chunk_size", "stream_response",
	"disable_add_transform_inline_image_block", "acompletion", "aembedding", "text_completion",
	"atext_completion", "completion_call_id", "policies",
)

func setOf(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}
