package xds

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// extension names a typed config the way Envoy's extension points want it.
func extension(name string, config proto.Message) (*corev3.TypedExtensionConfig, error) {
	packed, err := anypb.New(config)
	if err != nil {
		return nil, err
	}
	return &corev3.TypedExtensionConfig{Name: name, TypedConfig: packed}, nil
}

func transportSocket(config proto.Message) (*corev3.TransportSocket, error) {
	packed, err := anypb.New(config)
	if err != nil {
		return nil, err
	}
	return &corev3.TransportSocket{Name: "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed}}, nil
}
