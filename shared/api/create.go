package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// create answers POST /requests. The checks come in the order of api.md 9.2; nothing is stored before
// the last of them has passed.
func (c *call) create() error {
	order, err := c.orders.ParseOrder(c.body.(pyrepr.Object))
	if err != nil {
		return err
	}
	owner, submittedBy, err := c.owner(order.User)
	if err != nil {
		return err
	}
	if err := c.orders.CheckManagers(order); err != nil {
		return err
	}
	steps := c.Steps(order.PackageManagers)
	req, err := c.accept(store.New{
		Repo: order.Repo, Ref: order.Ref, PackageManagers: order.PackageManagers, Packages: order.Packages,
		Flags: order.Flags, Replacements: order.Replacements, User: owner, SubmittedBy: submittedBy, Steps: steps,
	}, steps[0])
	if err != nil {
		return err
	}
	c.accepted(req)
	ctx := c.r.Context()
	c.log.InfoContext(ctx, "request accepted")
	return c.write(http.StatusCreated, c.verbose(ctx, req))
}

// accept stores a request and sends the message of its first step.
func (c *call) accept(n store.New, step string) (request.Request, error) {
	ctx := c.r.Context()
	if c.Accept != nil {
		return c.Accept(ctx, n, step)
	}
	req, err := c.Store.Create(ctx, n)
	if err != nil {
		return req, err
	}
	c.concerns(req.ID)
	// The request exists: a client that goes away now must not leave it half scheduled.
	ctx = context.WithoutCancel(c.r.Context())
	if err := c.Queue.Send(ctx, queue.Message{RequestID: req.ID, Step: step}, 0); err != nil {
		c.log.ErrorContext(ctx, "request not scheduled", "cachito_request_id", req.ID, "error", err)
		if _, err := c.Store.Update(ctx, req.ID, store.Update{State: request.StateFailed, Reason: request.ReasonNotEnqueued}); err != nil {
			return req, err
		}
		c.Metrics.Add(telemetry.RequestsFailed, 1, string(fault.OriginServer))
		return req, &httpError{http.StatusInternalServerError, request.ReasonNotEnqueued}
	}
	return req, nil
}

// owner tells whose the request is, and who sent it when that is somebody else's doing.
func (c *call) owner(named string) (user, submittedBy string, err error) {
	switch {
	case named == "":
		return c.user, "", nil
	case c.user == "" && c.TrustUser:
		return named, "", nil
	case c.user == "":
		return "", "", badRequest(`Cannot set "user" when authentication is disabled`)
	case !slices.Contains(c.UserRepresentatives, c.user):
		return "", "", &httpError{http.StatusForbidden, "You are not authorized to create a request on behalf of another user"}
	}
	return named, c.user, nil
}
