package adapters

import (
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

func (c *call) applyQuirks() *apierror.Error { return nil }

func appendMessages(dst []byte, c *call, v jsondoc.Value) []byte { return append(dst, v...) }
