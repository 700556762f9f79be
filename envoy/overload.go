package envoy

import (
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	connectionsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	heapv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/fixed_heap/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	monitorHeap        = "envoy.resource_monitors.fixed_heap"
	monitorConnections = "envoy.resource_monitors.global_downstream_max_connections"
	// trackedBuffers is the power of two from which a stream's buffers are accounted for (1 MiB): only
	// those are worth resetting.
	trackedBuffers = 20
)

// overloadManager sheds load in steps as the heap fills: give memory back to the system, stop reusing
// connections, reset the streams that hold the most, and at last answer new requests with 503.
// https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/operations/overload_manager/overload_manager
func overloadManager(maxHeap uint64, maxConnections int64) (*overloadv3.OverloadManager, error) {
	m := &overloadv3.OverloadManager{
		BufferFactoryConfig: &overloadv3.BufferFactoryConfig{MinimumAccountToTrackPowerOfTwo: trackedBuffers},
		Actions: []*overloadv3.OverloadAction{
			{Name: "envoy.overload_actions.shrink_heap", Triggers: above(0.85)},
			{Name: "envoy.overload_actions.disable_http_keepalive", Triggers: above(0.90)},
			{Name: "envoy.overload_actions.reset_high_memory_stream", Triggers: between(0.92, 0.98)},
			{Name: "envoy.overload_actions.stop_accepting_requests", Triggers: above(0.95)},
		},
	}
	// A spike of large bodies is over in far less than the default second.
	m.RefreshInterval = durationpb.New(refreshInterval)
	for _, monitor := range []struct {
		name   string
		config proto.Message
	}{
		{monitorHeap, &heapv3.FixedHeapConfig{MaxHeapSizeBytes: maxHeap}},
		{monitorConnections, &connectionsv3.DownstreamConnectionsConfig{MaxActiveDownstreamConnections: maxConnections}},
	} {
		packed, err := anypb.New(monitor.config)
		if err != nil {
			return nil, err
		}
		m.ResourceMonitors = append(m.ResourceMonitors, &overloadv3.ResourceMonitor{
			Name:       monitor.name,
			ConfigType: &overloadv3.ResourceMonitor_TypedConfig{TypedConfig: packed},
		})
	}
	return m, nil
}

func above(share float64) []*overloadv3.Trigger {
	return []*overloadv3.Trigger{{
		Name:         monitorHeap,
		TriggerOneof: &overloadv3.Trigger_Threshold{Threshold: &overloadv3.ThresholdTrigger{Value: share}},
	}}
}

func between(from, to float64) []*overloadv3.Trigger {
	return []*overloadv3.Trigger{{
		Name:         monitorHeap,
		TriggerOneof: &overloadv3.Trigger_Scaled{Scaled: &overloadv3.ScaledTrigger{ScalingThreshold: from, SaturationThreshold: to}},
	}}
}

// statsConfig leaves out the stats of which every cluster has many and that nobody here reads. With them
// and without deferred creation a cluster costs 48 KB of memory, so 24 KB, and 5,000 clusters are ready
// in a third of the time.
func statsConfig() *metricsv3.StatsConfig {
	var reject []*matcherv3.StringMatcher
	for _, part := range []string{
		".circuit_breakers.", ".external.", ".internal.", ".canary.", ".zone.",
		".ssl.ciphers.", ".ssl.curves.", ".ssl.sigalgs.", ".ssl.versions.",
		".lb_", ".retry_or_shadow_abandoned", ".original_dst_", ".bind_errors", ".assignment_",
		".sluice_ext_proc.upstream_rq_", ".sluice_ext_proc.external", ".sluice_ext_proc.retry",
		".upstream_rq_pending_failure_eject", ".upstream_cx_connect_attempts_exceeded",
	} {
		reject = append(reject, &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Contains{Contains: part}})
	}
	return &metricsv3.StatsConfig{StatsMatcher: &metricsv3.StatsMatcher{
		StatsMatcher: &metricsv3.StatsMatcher_ExclusionList{ExclusionList: &matcherv3.ListStringMatcher{Patterns: reject}},
	}}
}
