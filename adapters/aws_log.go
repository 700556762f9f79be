package adapters

import (
	"fmt"
	"log/slog"

	"github.com/aws/smithy-go/logging"
)

// awsLog has the AWS SDK's own words ("falling back to IMDSv1") go where the gateway's go, for those who look for them:
// without it they are written to stderr as they are.
type awsLog struct{}

// Logf implements [logging.Logger].
func (awsLog) Logf(class logging.Classification, format string, args ...any) {
	slog.Debug("AWS SDK: "+fmt.Sprintf(format, args...), "class", string(class))
}
