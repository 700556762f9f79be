package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/internal/seal"
	"github.com/sluicegw/sluice/policy/admin"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/store"
)

// modelPatience is how long a request that changed a model waits until the gateway uses it.
const modelPatience = 10 * time.Second

// compose makes the assembly of a configuration and of the models that were made at run time. One of those that
// cannot be used is left out and told: it must not keep the others from changing.
func (r *instance) compose(base *config.Config) (*assembly, error) {
	stored, warnings := r.storedModels(base)
	c, faults := base.WithStored(stored)
	a, err := assemble(c, r.around)
	if err != nil && len(stored) > 0 {
		var kept []config.StoredModel
		for _, m := range stored {
			with := append(slices.Clone(kept), m)
			one, _ := base.WithStored(with)
			if _, err := assemble(one, r.around); err != nil {
				warnings = append(warnings, fmt.Sprintf("the stored model %s is left out: %s", m.ID, oneLine(err)))
				continue
			}
			kept = with
		}
		c, faults = base.WithStored(kept)
		a, err = assemble(c, r.around)
	}
	if err != nil {
		return nil, err
	}
	for _, f := range faults {
		warnings = append(warnings, "a stored model is left out: "+f.Error())
	}
	a.warnings = append(a.warnings, warnings...)
	return a, nil
}

// saltNames are the variables that hold the key of secrets at rest.
var saltNames = []string{"SLUICE_SALT_KEY", "LITELLM_SALT_KEY"}

// sealer is under the key of secrets at rest: the environment's, else the master key, as in LiteLLM.
func sealer(c *config.Config) (*seal.Sealer, error) {
	key := ""
	for _, name := range saltNames {
		if v, ok := c.LookupEnv(name); ok && key == "" {
			key = strings.TrimSpace(v)
		}
	}
	s, err := seal.New(cmp.Or(key, c.General.MasterKey.Reveal()))
	if err != nil {
		return nil, errors.New("there is no key to keep secrets with: set LITELLM_SALT_KEY, or a master key")
	}
	return s, nil
}

// storedModels are those of the store, opened, by their ids.
func (r *instance) storedModels(c *config.Config) (models []config.StoredModel, warnings []string) {
	if r.directory == nil {
		return nil, nil
	}
	objects := r.directory.List(keys.KindModel)
	if len(objects) == 0 {
		return nil, nil
	}
	slices.SortFunc(objects, func(a, b store.Object) int { return strings.Compare(a.ID, b.ID) })
	s, err := sealer(c)
	if err != nil {
		return nil, []string{fmt.Sprintf("the %d models that were made at run time are left out: %s", len(objects), err)}
	}
	for _, o := range objects {
		m, err := openModel(s, o)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("the stored model %s is left out: %s", o.ID, err))
			continue
		}
		models = append(models, m)
	}
	return models, warnings
}

func openModel(s *seal.Sealer, o store.Object) (config.StoredModel, error) {
	var d struct {
		Name    string          `json:"model_name"`
		Sealed  string          `json:"sealed_params"`
		Info    json.RawMessage `json:"model_info"`
		Blocked bool            `json:"blocked"`
	}
	if err := json.Unmarshal(o.Doc, &d); err != nil {
		return config.StoredModel{}, err
	}
	params, err := s.Open("model/"+o.ID, d.Sealed)
	if err != nil {
		return config.StoredModel{}, fmt.Errorf("its parameters cannot be read: %w; the key is %s, else the master key", err, strings.Join(saltNames, " or "))
	}
	entry, err := json.Marshal(map[string]any{"model_name": d.Name, "litellm_params": json.RawMessage(params), "model_info": d.Info})
	return config.StoredModel{ID: o.ID, Entry: entry, Blocked: d.Blocked}, err
}

// modelStore is what the admin API does with models.
func (r *instance) modelStore() *admin.ModelStore {
	return &admin.ModelStore{
		Fixed: func() bool { return r.modelsFixed() },
		Seal: func(id string, params []byte) (string, error) {
			s, err := sealer(r.base.Load())
			if err != nil {
				return "", err
			}
			return s.Seal("model/"+id, params), nil
		},
		Open: func(id, sealed string) ([]byte, error) {
			s, err := sealer(r.base.Load())
			if err != nil {
				return nil, err
			}
			return s.Open("model/"+id, sealed)
		},
		Check: r.checkModel,
		Wait:  r.awaitModels,
	}
}

func (r *instance) modelsFixed() bool {
	if r.base.Load().General.ModelsFixed {
		return true
	}
	v, set := os.LookupEnv("STORE_MODEL_IN_DB")
	return set && strings.EqualFold(strings.TrimSpace(v), "false")
}

// checkModel says what is wrong with a model that somebody wants to store, in words for them.
func (r *instance) checkModel(id string, entry []byte) error {
	base := r.base.Load()
	for i := range base.Deployments {
		if base.Deployments[i].ID == id {
			return fmt.Errorf("a model of the configuration has the id %s", id)
		}
	}
	stored, _ := r.storedModels(base)
	stored = slices.DeleteFunc(stored, func(m config.StoredModel) bool { return m.ID == id })
	c, faults := base.WithStored(append(stored, config.StoredModel{ID: id, Entry: entry}))
	for _, f := range faults {
		if strings.Contains(f.Field, id) || f.Field == "" {
			return errors.New(strings.TrimPrefix(f.Field+": "+f.Message, "model "+id+"."))
		}
	}
	if _, err := assemble(c, r.around); err != nil {
		fault, ok := errors.AsType[config.Fault](err)
		if ok {
			return errors.New(fault.Field + ": " + fault.Message)
		}
		return err
	}
	return nil
}

// awaitModels returns once the gateway uses what is stored now, or after a while.
func (r *instance) awaitModels(ctx context.Context) {
	want := r.directory.Changes()
	ctx, cancel := context.WithTimeout(ctx, modelPatience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for r.composed.Load() < want {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// applyModels puts the models of the store into effect, with the configuration that is in use.
func (r *instance) applyModels(ctx context.Context) {
	began, changes := time.Now(), r.directory.Changes()
	base := r.base.Load()
	a, err := r.compose(base)
	if err == nil {
		r.warn(base, a)
		err = r.gateway.apply(ctx, a)
	}
	r.composed.Store(changes) // a failure, too, is an answer
	if err != nil {
		r.log.Error("a change of models is not in effect; those before stay in use", "error", oneLine(err))
		return
	}
	r.log.Info("models were changed at run time", "deployments", len(a.deployments), "took", time.Since(began).Round(time.Millisecond))
}
