package wiring

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/telemetry"
	"github.com/cachito-serverless/cachito/shared/telemetry/otlp/otlptest"
)

func load(t *testing.T, vars map[string]string) config.Config {
	t.Helper()
	cfg, err := config.Load(func(name string) string { return vars[name] })
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestTelemetryIsOffUnlessAskedFor(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	tests := []struct {
		name                                    string
		vars                                    map[string]string
		serviceMetrics, functionMetrics, traces bool
	}{
		{"defaults", nil, false, true, false},
		{"Prometheus", map[string]string{"CACHITO_METRICS_LISTEN": "127.0.0.1:0"}, true, true, false},
		{"CloudWatch off", map[string]string{"CACHITO_METRICS_NAMESPACE": "off"}, false, false, false},
		{"a collector", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, false, true, true},
		{"a collector, no trace of it", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "CACHITO_TRACES_RATIO": "0"}, false, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := load(t, tt.vars)
			service, err := ServiceTelemetry(cfg, log)
			if err != nil {
				t.Fatal(err)
			}
			function, err := FunctionTelemetry(cfg, &bytes.Buffer{}, log)
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range []struct {
				of        string
				got, want bool
			}{
				{"the service's metrics", service.Metrics != nil, tt.serviceMetrics},
				{"the function's metrics", function.Metrics != nil, tt.functionMetrics},
				{"the service's traces", service.Tracer != nil, tt.traces},
				{"the function's traces", function.Tracer != nil, tt.traces},
			} {
				if got.got != got.want {
					t.Errorf("%s: got %v, want %v", got.of, got.got, got.want)
				}
			}
			if err := errors.Join(service.Close(), function.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFlushTellsBoth(t *testing.T) {
	collector := otlptest.NewCollector(t)
	var out, logged bytes.Buffer
	tell, err := FunctionTelemetry(load(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL}), &out, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	tell.Metrics.Add(telemetry.RequestsAccepted, 1)
	_, span := telemetry.Start(telemetry.WithTracer(t.Context(), tell.Tracer), "work", telemetry.Internal)
	span.End()
	tell.Flush(t.Context())
	if !strings.Contains(out.String(), `"Namespace":"Cachito"`) || !strings.Contains(out.String(), `"cachito_requests_accepted_total":1`) {
		t.Errorf("metrics: got %q", out.String())
	}
	spans := collector.Spans()
	if len(spans) != 1 || spans[0].Resource["service.name"] != "cachito" {
		t.Errorf("spans: got %+v", spans)
	}
	if err := tell.Close(); err != nil {
		t.Error(err)
	}
	if logged.Len() > 0 {
		t.Errorf("logged %s", &logged)
	}
	Telemetry{}.Flush(t.Context()) // nobody is told
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("pipe broken") }

func TestFlushLogsItsTrouble(t *testing.T) {
	var logged bytes.Buffer
	tell, err := FunctionTelemetry(load(t, nil), broken{}, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	tell.Metrics.Add(telemetry.RequestsAccepted, 1)
	begun := time.Now()
	tell.Flush(t.Context())
	if !strings.Contains(logged.String(), "pipe broken") || time.Since(begun) > time.Second {
		t.Errorf("logged %q after %v", logged.String(), time.Since(begun))
	}
}
