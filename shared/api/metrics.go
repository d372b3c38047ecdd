package api

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

func metricsParams(summary bool) []param {
	list := []param{
		{name: "finished_from", kind: dateParam, required: summary}, {name: "finished_to", kind: dateParam, required: summary},
	}
	if !summary {
		list = append(list,
			param{name: "error_origin", schema: &request.Schema{Type: "string", Enum: request.Origins}}, param{name: "error_type", schema: request.Text()},
			param{name: "page", kind: countParam}, param{name: "per_page", kind: countParam})
	}
	return list
}

func (c *call) metricsFilter() store.MetricsFilter {
	f := store.MetricsFilter{ErrorOrigin: c.query.text("error_origin"), ErrorType: c.query.text("error_type")}
	if d, ok := c.query.dates["finished_from"]; ok {
		f.FinishedFrom = d.from()
	}
	if d, ok := c.query.dates["finished_to"]; ok {
		f.FinishedTo = d.to()
	}
	return f
}

// metrics answers GET /request-metrics: the lives of finished requests, highest id first.
func (c *call) metrics() error {
	p := c.page(20)
	list, err := c.Store.Metrics(c.r.Context(), c.metricsFilter(), p)
	if err != nil {
		return pageError(err)
	}
	items := listOf(list.Metrics, func(m store.Metric) any {
		return object{
			"id": m.ID, "final_state": m.FinalState, "final_state_reason": m.FinalStateReason, "finished": timestamp(m.Finished),
			"duration": seconds(m.Duration.Seconds()), "time_in_queue": seconds(m.TimeInQueue.Seconds()),
		}
	})
	extras := ""
	for _, name := range []string{"finished_from", "finished_to", "error_origin", "error_type"} {
		if v := c.query.text(name); v != "" {
			extras += "&" + name + "=" + url.QueryEscape(v)
		}
	}
	return c.write(http.StatusOK, object{"items": items, "meta": c.meta("/request-metrics", p, list.Total, extras)})
}

// seconds is a number that always shows as one with a fraction, as upstream's do.
type seconds float64

// MarshalJSON gives "60.0" rather than "60".
func (s seconds) MarshalJSON() ([]byte, error) {
	text := strconv.FormatFloat(float64(s), 'f', -1, 64)
	if float64(s) == float64(int64(s)) {
		text = strconv.FormatFloat(float64(s), 'f', 1, 64)
	}
	return []byte(text), nil
}

func secondsOrNull(v *float64) any {
	if v == nil {
		return nil
	}
	return seconds(*v)
}

// metricsSummary answers GET /request-metrics/summary.
func (c *call) metricsSummary() error {
	sum, err := c.Store.MetricsSummary(c.r.Context(), c.metricsFilter())
	if err != nil {
		return err
	}
	return c.write(http.StatusOK, object{
		"duration_avg": secondsOrNull(sum.DurationAvg), "duration_50": secondsOrNull(sum.Duration50), "duration_95": secondsOrNull(sum.Duration95),
		"time_in_queue_avg": secondsOrNull(sum.TimeInQueueAvg), "time_in_queue_95": secondsOrNull(sum.TimeInQueue95),
		"client_errors": sum.ClientErrors, "server_errors": sum.ServerErrors,
		"total": sum.Total, "complete": sum.Complete, "failed": sum.Failed,
	})
}

func pageError(err error) error {
	if errors.Is(err, store.ErrPageOutOfRange) {
		return errNotFound
	}
	return err
}

// prometheus answers GET /metrics with exact counts from the store, and what this process served.
func (c *call) prometheus() error {
	counts, err := c.Store.Counts(c.r.Context())
	if err != nil {
		return err
	}
	reg := prometheus.NewRegistry()
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "cachito_requests_count", Help: "Requests by state; total is all of them."}, []string{"state"})
	gauge.WithLabelValues("total").Set(float64(counts.Total))
	for _, s := range []request.State{request.StateInProgress, request.StateComplete, request.StateFailed, request.StateStale} {
		gauge.WithLabelValues(string(s)).Set(float64(counts.ByState[s]))
	}
	if err := reg.Register(gauge); err != nil {
		return err
	}
	if err := reg.Register(durations{counts}); err != nil {
		return err
	}
	w := c.w
	if c.r.Method == http.MethodHead {
		w = withoutBody{w}
	}
	gatherers := prometheus.Gatherers{reg, c.httpMetrics.registry}
	promhttp.HandlerFor(gatherers, promhttp.HandlerOpts{}).ServeHTTP(w, c.r)
	return nil
}

// durations is the summary of how long requests took from creation to complete.
type durations struct{ counts store.Counts }

var durationDesc = prometheus.NewDesc("cachito_request_duration_seconds", "Time from creation to complete.", nil, nil)

// Describe implements prometheus.Collector.
func (d durations) Describe(ch chan<- *prometheus.Desc) { ch <- durationDesc }

// Collect implements prometheus.Collector.
func (d durations) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstSummary(durationDesc, uint64(d.counts.Completed), d.counts.CompletedSeconds, nil)
}
