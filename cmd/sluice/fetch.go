package main

import (
	"strconv"

	mediafetch "github.com/sluicegw/sluice/adapters/fetch"
	"github.com/sluicegw/sluice/cmd/sluice/config"
)

// newFetcher makes what gets the files that requests name by URL. The size limit is LiteLLM's variable, in
// MiB (https://docs.litellm.ai/docs/proxy/config_settings); 0 turns fetching off.
func newFetcher(c *config.Config) (*mediafetch.Fetcher, error) {
	s := mediafetch.Settings{AllowedHosts: c.Settings.FetchHosts}
	const variable = "MAX_IMAGE_URL_DOWNLOAD_SIZE_MB"
	if text, set := c.LookupEnv(variable); set && text != "" {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n >= 0) || n > 1024 {
			return nil, config.Fault{File: c.Path, Field: variable, Message: "must be a number of MiB between 0 and 1024"}
		}
		if s.MaxBytes = int64(n * (1 << 20)); s.MaxBytes == 0 {
			s.MaxBytes = -1
		}
	}
	f, err := mediafetch.New(s)
	if err != nil {
		return nil, config.Fault{File: c.Path, Field: "litellm_settings.user_url_allowed_hosts", Message: err.Error()}
	}
	return f, nil
}
