package storetest

import (
	"errors"
	"time"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// life creates a request that waits, then works, then ends as u says.
func (w *world) life(queued, work time.Duration, u store.Update) int64 {
	id := w.create().ID
	w.advance(queued)
	w.update(id, toState(request.StateInProgress, request.ReasonSource))
	w.advance(work)
	w.update(id, u)
	return id
}

var complete = store.Update{State: request.StateComplete, Reason: request.ReasonComplete}

func failed(origin, kind string) store.Update {
	return store.Update{State: request.StateFailed, Reason: "broken", ErrorOrigin: origin, ErrorType: kind}
}

func (w *world) metrics(f store.MetricsFilter, page, perPage int, ids []int64, total int64) {
	w.Helper()
	list, err := w.s.Metrics(w.Context(), f, store.Page{Number: page, PerPage: perPage})
	if err != nil {
		w.Errorf("Metrics(%+v): %v", f, err)
		return
	}
	var got []int64
	for _, m := range list.Metrics {
		got = append(got, m.ID)
	}
	w.equal("ids", got, ids)
	w.equal("total", list.Total, total)
}

var metricsCases = []testCase{
	{"nothing", func(w *world) {
		w.create()
		w.metrics(store.MetricsFilter{}, 1, 10, nil, 0)
		if _, err := w.s.Metrics(w.Context(), store.MetricsFilter{}, store.Page{Number: 2, PerPage: 10}); !errors.Is(err, store.ErrPageOutOfRange) {
			w.Errorf("page 2: got %v, want ErrPageOutOfRange", err)
		}
		sum, err := w.s.MetricsSummary(w.Context(), store.MetricsFilter{})
		w.ok(err)
		w.equal("summary", sum, store.MetricsSummary{})
	}},
	{"the life of a request", func(w *world) {
		w.life(2*time.Second, 8*time.Second, complete)
		w.life(time.Second, 1500*time.Millisecond, failed("client", "A"))
		w.create() // is not over
		list, err := w.s.Metrics(w.Context(), store.MetricsFilter{}, store.Page{Number: 1, PerPage: 10})
		w.ok(err)
		want := store.MetricsList{Total: 2, Metrics: []store.Metric{
			{ID: 2, FinalState: request.StateFailed, FinalStateReason: "broken", Finished: start.Add(12500 * time.Millisecond), Duration: 2500 * time.Millisecond, TimeInQueue: time.Second},
			{ID: 1, FinalState: request.StateComplete, FinalStateReason: request.ReasonComplete, Finished: start.Add(10 * time.Second), Duration: 10 * time.Second, TimeInQueue: 2 * time.Second},
		}}
		w.equal("metrics", list, want)
		w.advance(time.Hour)
		w.update(1, toState(request.StateStale, request.ReasonExpired))
		list, err = w.s.Metrics(w.Context(), store.MetricsFilter{}, store.Page{Number: 1, PerPage: 10})
		w.ok(err)
		w.equal("after it expired", list, want)
	}},
	{"a request that fails at once", func(w *world) {
		w.create()
		w.advance(3 * time.Second)
		w.update(1, failed("server", "B"))
		list, err := w.s.Metrics(w.Context(), store.MetricsFilter{}, store.Page{Number: 1, PerPage: 10})
		w.ok(err)
		w.equal("metrics", list.Metrics, []store.Metric{{
			ID: 1, FinalState: request.StateFailed, FinalStateReason: "broken", Finished: start.Add(3 * time.Second), Duration: 3 * time.Second, TimeInQueue: 3 * time.Second,
		}})
	}},
	{"a request that expired without an end has none", func(w *world) {
		w.create()
		w.update(1, toState(request.StateStale, request.ReasonExpired))
		w.metrics(store.MetricsFilter{}, 1, 10, nil, 0)
	}},
	{"filters and pages", func(w *world) {
		var ends []time.Time
		for _, u := range []store.Update{complete, failed("client", "A"), failed("server", "B"), failed("client", "B")} {
			w.life(time.Second, 9*time.Second, u)
			ends = append(ends, w.clock())
		}
		for _, c := range []struct {
			f    store.MetricsFilter
			want []int64
		}{
			{store.MetricsFilter{}, []int64{4, 3, 2, 1}},
			{store.MetricsFilter{FinishedFrom: ends[1], FinishedTo: ends[2]}, []int64{3, 2}},
			{store.MetricsFilter{FinishedFrom: ends[1].Add(time.Microsecond)}, []int64{4, 3}},
			{store.MetricsFilter{FinishedTo: ends[1].Add(-time.Microsecond)}, []int64{1}},
			{store.MetricsFilter{ErrorOrigin: "client"}, []int64{4, 2}},
			{store.MetricsFilter{ErrorType: "B"}, []int64{4, 3}},
			{store.MetricsFilter{ErrorOrigin: "client", ErrorType: "B", FinishedFrom: start}, []int64{4}},
			{store.MetricsFilter{ErrorType: "C"}, nil},
		} {
			w.metrics(c.f, 1, 10, c.want, int64(len(c.want)))
			if len(c.want) > 1 {
				w.metrics(c.f, 2, 1, c.want[1:2], int64(len(c.want)))
			}
			_, err := w.s.Metrics(w.Context(), c.f, store.Page{Number: len(c.want) + 2, PerPage: 1})
			if !errors.Is(err, store.ErrPageOutOfRange) {
				w.Errorf("%+v: a page past the end: got %v, want ErrPageOutOfRange", c.f, err)
			}
		}
		sum, err := w.s.MetricsSummary(w.Context(), store.MetricsFilter{ErrorOrigin: "client"})
		w.ok(err)
		w.equal("counts", []int64{sum.Total, sum.Complete, sum.Failed, sum.ClientErrors, sum.ServerErrors}, []int64{2, 0, 2, 2, 0})
		sum, err = w.s.MetricsSummary(w.Context(), store.MetricsFilter{FinishedTo: ends[2]})
		w.ok(err)
		w.equal("counts", []int64{sum.Total, sum.Complete, sum.Failed, sum.ClientErrors, sum.ServerErrors}, []int64{3, 1, 2, 1, 1})
	}},
	{"percentiles interpolate", func(w *world) {
		for _, seconds := range []time.Duration{30, 10, 40, 20} {
			w.life(seconds*time.Second/10, seconds*time.Second*9/10, complete)
		}
		sum, err := w.s.MetricsSummary(w.Context(), store.MetricsFilter{})
		w.ok(err)
		w.equal("summary", sum, store.MetricsSummary{
			DurationAvg: new(25.0), Duration50: new(25.0), Duration95: new(38.5),
			TimeInQueueAvg: new(2.5), TimeInQueue95: new(3.85), Total: 4, Complete: 4,
		})
	}},
	{"percentiles of one", func(w *world) {
		w.life(time.Second, 9*time.Second, failed("server", "B"))
		sum, err := w.s.MetricsSummary(w.Context(), store.MetricsFilter{})
		w.ok(err)
		w.equal("summary", sum, store.MetricsSummary{
			DurationAvg: new(10.0), Duration50: new(10.0), Duration95: new(10.0),
			TimeInQueueAvg: new(1.0), TimeInQueue95: new(1.0), Total: 1, Failed: 1, ServerErrors: 1,
		})
	}},
}
