package xds

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// pack is anypb.New with the same bytes for the same message, always: what only looks changed would be sent
// to every Envoy anew, and a listener that is sent anew drains its connections.
func pack(m proto.Message) (*anypb.Any, error) {
	out := new(anypb.Any)
	return out, anypb.MarshalFrom(out, m, proto.MarshalOptions{Deterministic: true})
}

// extension names a typed config the way Envoy's extension points want it.
func extension(name string, config proto.Message) (*corev3.TypedExtensionConfig, error) {
	packed, err := pack(config)
	if err != nil {
		return nil, err
	}
	return &corev3.TypedExtensionConfig{Name: name, TypedConfig: packed}, nil
}

func transportSocket(config proto.Message) (*corev3.TransportSocket, error) {
	packed, err := pack(config)
	if err != nil {
		return nil, err
	}
	return &corev3.TransportSocket{Name: "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed}}, nil
}
