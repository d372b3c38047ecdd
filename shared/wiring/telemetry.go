package wiring

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/telemetry"
	"github.com/cachito-serverless/cachito/shared/telemetry/otlp"
)

const (
	// flushTimeout is how long a function waits, at the end of an invocation, for a collector to take its spans.
	flushTimeout = 2 * time.Second
	// closeTimeout is the same for the end of a process.
	closeTimeout = 5 * time.Second
)

// Telemetry is who is told what goes on. Its zero value: nobody, which costs nothing.
type Telemetry struct {
	Metrics *telemetry.Metrics // nil: nothing is counted
	Tracer  telemetry.Tracer   // nil: no spans are made

	spans *otlp.Tracer
	log   *slog.Logger
}

// ServiceTelemetry is for the embedded service: metrics wait for Prometheus, when it was told where to come.
func ServiceTelemetry(cfg config.Config, log *slog.Logger) (Telemetry, error) {
	t, err := traces(cfg, log)
	if err == nil && cfg.MetricsListen != "" {
		t.Metrics = telemetry.NewMetrics(telemetry.MetricsSettings{Hosts: cfg.MetricsHosts})
	}
	return t, err
}

// FunctionTelemetry is for a function: metrics are written to out, for CloudWatch, with each Flush.
func FunctionTelemetry(cfg config.Config, out io.Writer, log *slog.Logger) (Telemetry, error) {
	t, err := traces(cfg, log)
	if err == nil && cfg.MetricsNamespace != config.MetricsOff {
		t.Metrics = telemetry.NewMetrics(telemetry.MetricsSettings{Hosts: cfg.MetricsHosts, EMF: out, Namespace: cfg.MetricsNamespace})
	}
	return t, err
}

func traces(cfg config.Config, log *slog.Logger) (Telemetry, error) {
	t := Telemetry{log: log}
	if cfg.TracesEndpoint == "" || cfg.TracesRatio == 0 {
		return t, nil
	}
	var err error
	t.spans, err = otlp.New(otlp.Settings{
		Endpoint: cfg.TracesEndpoint, Headers: cfg.TracesHeaders, Ratio: cfg.TracesRatio,
		Service: cfg.ServiceName, Version: Version(), Log: log,
	})
	if err != nil {
		return Telemetry{}, &SettingError{err.Error()}
	}
	t.Tracer = t.spans
	return t, nil
}

// Flush tells what is still to be told: a function calls it at the end of each invocation, because it is frozen
// after it. Trouble goes to the log; whoever watches must not stop the work.
func (t Telemetry) Flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	err := t.Metrics.Flush()
	if t.spans != nil {
		err = errors.Join(err, t.spans.Flush(ctx))
	}
	if err != nil {
		t.log.WarnContext(ctx, "metrics or traces not sent", "error", err)
	}
}

// Close tells what is still to be told, and ends.
func (t Telemetry) Close() error {
	if t.spans == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return t.spans.Close(ctx)
}
