package envoytest_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/envoy/envoytest"
)

func TestRefusedTellsWhy(t *testing.T) {
	if words := envoytest.Refused(t, []byte("admin: {nonsense: 1}")); !strings.Contains(words, "nonsense") {
		t.Errorf("Envoy said %q", words)
	}
}

func TestStartAndKill(t *testing.T) {
	admin := filepath.Join(envoytest.Dir(t), "admin.sock")
	bootstrap := []byte("admin: {address: {pipe: {path: " + admin + "}}}")
	envoytest.Validate(t, bootstrap)
	i := envoytest.Start(t, bootstrap, admin)
	if err := i.Admin.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	i.Kill()
	if err := i.Admin.Ready(t.Context()); err == nil {
		t.Error("a killed Envoy is ready")
	}
}
