package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/sluicegw/sluice/internal/apierror"
)

// models reads model_list. Credentials are the named ones of credential_list.
func (r *reader) models(c *Config, v *value, credentials map[string]*value) {
	if v == nil {
		return
	}
	if v.kind != list {
		r.fault(v, "model_list", "must be a list of {model_name, litellm_params}, not %s", v.kind)
		return
	}
	for i, item := range v.items {
		path := fmt.Sprintf("model_list[%d]", i)
		if item.kind != mapping {
			r.fault(item, path, "must be a mapping with model_name and litellm_params, not %s", item.kind)
			continue
		}
		c.Deployments = append(c.Deployments, r.model(c, item, path, credentials)...)
	}
	r.reportUnusable(c.Deployments)
}

// model reads one entry. It gives several deployments where organization is a list.
func (r *reader) model(c *Config, v *value, path string, credentials map[string]*value) []Deployment {
	d := Deployment{File: v.file, Line: v.line, DropParams: c.Settings.DropParams}
	params, info := v.get("litellm_params"), v.get("model_info")
	own := fields{
		"model_name":     func(v *value, path string) { d.Group = r.str(v, path) },
		"litellm_params": func(*value, string) {},
		"model_info":     func(*value, string) {},
	}
	r.mapping(v, path, own, r.misplaced(own), false)
	if d.Group == "" {
		r.fault(v, path+".model_name", "is missing; it is the name by which clients ask for this model")
	}
	if strings.ContainsFunc(d.Group, unicode.IsControl) {
		r.fault(v, path+".model_name", "has a control character; it stands in headers, so it may have printable ones only")
	}
	if params == nil {
		r.fault(v, path+".litellm_params", "is missing; it needs at least model: provider/name")
		return nil
	}
	d.Shown = shownParams(params)
	params = r.withCredential(params, path, credentials)
	var organizations []string
	r.params(&d, &organizations, params, path+".litellm_params")
	declared := r.modelInfo(&d, info, path+".model_info")
	if len(organizations) < 2 {
		if len(organizations) == 1 {
			d.Organization = organizations[0]
		}
		d.ID = declared
		if d.ID == "" {
			d.ID = deploymentID(d.Group, "", params)
		}
		return []Deployment{d}
	}
	out := make([]Deployment, 0, len(organizations))
	for _, org := range organizations {
		one := d
		one.Organization = org
		one.ID = deploymentID(d.Group, org, params)
		if declared != "" {
			one.ID = declared + "-" + org
		}
		out = append(out, one)
	}
	return out
}

// misplaced warns of members beside litellm_params that belong into it.
func (r *reader) misplaced(own fields) func(m member, path string) {
	return func(m member, path string) {
		at := value{file: m.v.file, line: m.line}
		_, param := knownParams[m.name]
		_, price := knownPrices[m.name]
		if param || price || requestFields[m.name] != anyField {
			r.warn(&at, path, "has no effect here: it belongs under litellm_params")
			return
		}
		r.unknown(m, path, "setting of a model", sortedNames(own))
	}
}

// modelInfo reads model_info and gives the id that it declares, or "".
func (r *reader) modelInfo(d *Deployment, v *value, path string) (id string) {
	if v == nil {
		return ""
	}
	own := fields{
		"id":            set(r.str, &id),
		"base_model":    set(r.str, &d.Info.BaseModel),
		"mode":          set(r.str, &d.Info.Mode),
		"access_groups": set(r.strs, &d.Info.AccessGroups),
	}
	candidates := append(sortedNames(knownModelInfo), sortedNames(own)...)
	// LiteLLM keeps any other member and shows it in /model/info, so only a likely misspelling is named.
	r.mapping(v, path, own, func(m member, path string) {
		if r.modelNumber(d, m, path) {
			return
		}
		if _, known := knownModelInfo[m.name]; known {
			return
		}
		if n := Near(m.name, candidates); n != "" && len(m.name) > 3 {
			at := value{file: m.v.file, line: m.line}
			r.warn(&at, path, "is not known; did you mean %s?", n)
		}
	}, false)
	if v.kind == mapping {
		d.Info.Raw = r.json(v, path)
	}
	if strings.ContainsFunc(id, unicode.IsControl) {
		r.fault(v, path+".id", "has a control character; it stands in headers, so it may have printable ones only")
	}
	return id
}

// modelNumber takes what model_info says of prices, limits and abilities.
func (r *reader) modelNumber(d *Deployment, m member, path string) bool {
	_, price := knownPrices[m.name]
	limit := m.name == "max_tokens" || m.name == "max_input_tokens" || m.name == "max_output_tokens"
	ability := strings.HasPrefix(m.name, "supports_") && m.v.kind == boolean
	if !price && !limit && !ability || m.v.kind == null || m.v.kind == list || m.v.kind == mapping || m.v.missing != "" {
		return false
	}
	if d.Info.Numbers == nil {
		d.Info.Numbers = map[string]float64{}
	}
	if ability {
		d.Info.Numbers[m.name] = 0
		if r.bool(m.v, path) {
			d.Info.Numbers[m.name] = 1
		}
		return true
	}
	d.Info.Numbers[m.name] = r.number(m.v, path)
	return true
}

// deploymentID hashes what makes a deployment that one. It is independent of the order of the fields and
// of the values of environment variables.
func deploymentID(group, organization string, params *value) string {
	b := apierror.AppendString(nil, group)
	b = apierror.AppendString(append(b, ','), organization)
	b = params.appendJSON(append(b, ','), true)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// distinctIDs makes the second of two equal IDs "ID-2", and so on, in the order of the file.
func distinctIDs(r *reader, ds []Deployment) {
	taken := make(map[string]int, len(ds)) // id → index of its owner
	next := map[string]int{}               // id → the suffix to try next
	for i := range ds {
		d := &ds[i]
		owner, dup := taken[d.ID]
		if dup {
			base := d.ID
			for n := max(2, next[base]); dup; n++ {
				d.ID = base + "-" + strconv.Itoa(n)
				_, dup = taken[d.ID]
				next[base] = n + 1
			}
			at := value{file: d.File, line: d.Line}
			r.warn(&at, "model_list", "%s has the same id as the deployment on line %d (%s); it is called %s",
				d.Name(), ds[owner].Line, base, d.ID)
		}
		taken[d.ID] = i
	}
}

// reportUnusable warns of deployments that are kept out of service, one line for each variable and place.
func (r *reader) reportUnusable(ds []Deployment) {
	for i := range ds {
		d := &ds[i]
		if d.Unusable == "" || i > 0 && ds[i-1].Line == d.Line && ds[i-1].File == d.File {
			continue
		}
		at := value{file: d.File, line: d.Line}
		r.warn(&at, "model_list", "%s is out of service: %s", d.Name(), d.Unusable)
	}
}

// credentials reads credential_list: names for sets of litellm_params that deployments share by
// litellm_credential_name. https://docs.litellm.ai/docs/proxy/ui_credentials
func (r *reader) credentials(v *value) map[string]*value {
	out := map[string]*value{}
	if v == nil {
		return out
	}
	if v.kind != list {
		r.fault(v, "credential_list", "must be a list of {credential_name, credential_values}, not %s", v.kind)
		return out
	}
	for i, item := range v.items {
		path := fmt.Sprintf("credential_list[%d]", i)
		name, values := item.get("credential_name"), item.get("credential_values")
		if name == nil || values == nil || values.kind != mapping || name.text == "" {
			r.fault(item, path, "must have a credential_name and a mapping credential_values")
			continue
		}
		out[name.text] = values
	}
	return out
}

// withCredential lays params over the credential that they name.
func (r *reader) withCredential(params *value, path string, credentials map[string]*value) *value {
	ref := params.get("litellm_credential_name")
	if ref == nil {
		return params
	}
	shared, ok := credentials[ref.text]
	if !ok {
		r.fault(ref, path+".litellm_params.litellm_credential_name", "there is no credential of that name in credential_list%s",
			didYouMean(ref.text, sortedNames(credentials)))
		return params
	}
	merged := *params
	merged.members = slices.Clone(params.members)
	for _, m := range shared.members {
		if params.get(m.name) == nil {
			merged.members = append(merged.members, m)
		}
	}
	return &merged
}

// providerParam tells the settings of particular providers from request fields.
func providerParam(name string) bool {
	for _, prefix := range []string{
		"aws_", "vertex_", "azure_", "s3_", "gcs_", "watsonx_", "bedrock_", "anthropic_issuer_", "anthropic_identity_",
		"anthropic_federation_", "anthropic_keycloak_", "openai_identity_", "oci_", "databricks_", "snowflake_", "sap_",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "tenant_id", "client_id", "client_secret", "region_name", "bucket_name", "project_id", "project",
		"anthropic_organization_id", "anthropic_service_account_id", "anthropic_disable_workload_identity_federation",
		"openai_service_account_id":
		return true
	}
	return false
}
