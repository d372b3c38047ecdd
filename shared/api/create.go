package api

import (
	"encoding/json"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/pyrepr"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/store"
)

// flags that a request may carry.
var flags = []string{"cgo-disable", "force-gomod-tidy", "gomod-vendor", "gomod-vendor-check", "include-git-dir", "remove-unsafe-symlinks"}

// order is the body of POST /requests on its way to a stored request.
type order struct {
	*call
	body pyrepr.Object
	new  store.New
}

// create answers POST /requests. The checks come in the order of api.md 9.2; nothing is stored before
// the last of them has passed.
func (c *call) create() error {
	o := &order{call: c, body: c.body.(pyrepr.Object)}
	o.new.Repo, o.new.Ref = o.text("repo"), o.text("ref")
	for _, check := range []func() error{o.managers, o.packages, o.exclusive, o.flags, o.replacements, o.users, o.enabled, o.refusals} {
		if err := check(); err != nil {
			return err
		}
	}
	ctx := c.r.Context()
	o.new.Steps = c.Steps(o.new.PackageManagers)
	req, err := c.Store.Create(ctx, o.new)
	if err != nil {
		return err
	}
	if err := c.Queue.Send(ctx, queue.Message{RequestID: req.ID, Step: o.new.Steps[0]}, 0); err != nil {
		c.Log.ErrorContext(ctx, "request not scheduled", "cachito_request_id", req.ID, "error", err)
		_, err := c.Store.Update(ctx, req.ID, store.Update{State: request.StateFailed, Reason: request.ReasonNotEnqueued})
		if err != nil {
			return err
		}
		return &httpError{http.StatusInternalServerError, request.ReasonNotEnqueued}
	}
	c.Log.InfoContext(ctx, "request accepted", "cachito_request_id", req.ID)
	out, err := c.verbose(ctx, req)
	if err != nil {
		return err
	}
	c.write(http.StatusCreated, out)
	return nil
}

func (o *order) text(key string) string {
	v, _ := o.body.Get(key)
	s, _ := v.(string)
	return s
}

func (o *order) list(key string) []any {
	v, _ := o.body.Get(key)
	list, _ := v.([]any)
	return list
}

func (o *order) managers() error {
	asked := o.DefaultPackageManagers
	if _, ok := o.body.Get("pkg_managers"); ok {
		asked = nil
		for _, v := range o.list("pkg_managers") {
			asked = append(asked, v.(string))
		}
	}
	o.new.PackageManagers = []string{}
	for _, name := range o.names { // the API's order, each once
		if slices.Contains(asked, name) {
			o.new.PackageManagers = append(o.new.PackageManagers, name)
		}
	}
	return nil
}

// options are the packages object: for each manager its entries, in the order of the body.
func (o *order) options() pyrepr.Object {
	v, _ := o.body.Get("packages")
	object, _ := v.(pyrepr.Object)
	return object
}

func (o *order) packages() error {
	var unasked []string
	for _, m := range o.options() {
		if !slices.Contains(o.new.PackageManagers, m.Key) {
			unasked = append(unasked, m.Key)
		}
	}
	if len(unasked) > 0 {
		slices.Sort(unasked)
		return badRequest(`The following package managers in the "packages" object do not apply: %s`, strings.Join(unasked, ", "))
	}
	for _, m := range o.options() {
		entries := m.Value.([]any)
		for _, entry := range entries {
			if err := checkEntry(o.manager(m.Key), entry.(pyrepr.Object)); err != nil {
				return err
			}
		}
		raw, err := json.Marshal(plain(entries))
		if err != nil {
			return err
		}
		if o.new.Packages == nil {
			o.new.Packages = map[string]json.RawMessage{}
		}
		o.new.Packages[m.Key] = raw
	}
	return nil
}

// plain is a decoded value in the form that encoding/json writes.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plain(item)
		}
		return out
	case pyrepr.Object:
		out := map[string]any{}
		for _, m := range v {
			out[m.Key] = plain(m.Value)
		}
		return out
	}
	return v
}

func checkEntry(m resolver.Descriptor, entry pyrepr.Object) error {
	if len(entry) == 0 {
		var keys []string
		for _, opt := range m.Options {
			keys = append(keys, opt.Name)
		}
		slices.Sort(keys)
		return badRequest(`The value of "packages.%s" must be an array of objects with the following keys: %s`, m.Name, strings.Join(keys, ", "))
	}
	for _, opt := range m.Options {
		v, ok := entry.Get(opt.Name)
		if !ok {
			continue
		}
		values := []any{v}
		if opt.List {
			values = v.([]any)
		}
		for _, value := range values {
			p := value.(string)
			if p == "" || strings.HasPrefix(p, "/") || strings.Contains(path.Clean(p), "..") {
				return badRequest(`The "%s" values in the "packages.%s" value must be to a relative path in the source repository`, opt.Name, m.Name)
			}
		}
	}
	return nil
}

// paths that a manager processes: of each entry, "." for an entry without one and for no entries at all;
// none for an empty list.
func (o *order) paths(name string) []string {
	v, ok := o.options().Get(name)
	if !ok {
		return []string{"."}
	}
	var list []string
	for _, entry := range v.([]any) {
		p, _ := entry.(pyrepr.Object).Get("path")
		s, _ := p.(string)
		list = append(list, path.Clean(s))
	}
	return list
}

func (o *order) exclusive() error {
	asked := o.new.PackageManagers
	for _, whole := range asked { // a manager that changes the checkout as a whole
		if !o.manager(whole).NeedsSubmodules {
			continue
		}
		for _, name := range asked {
			if name == whole || !o.paired(name, whole) {
				continue
			}
			if slices.ContainsFunc(o.paths(name), func(p string) bool { return p != "." }) {
				return badRequest("Cannot process non-root packages with '%s' when '%s' is also set.\nSolution: remove the git submodules and instead process the upstream repos (corresponding to the submodules) directly. Each repo should be processed in a separate request.", name, whole)
			}
		}
	}
	for i, a := range asked {
		for _, b := range asked[i+1:] {
			if !o.paired(a, b) || o.manager(a).NeedsSubmodules || o.manager(b).NeedsSubmodules {
				continue
			}
			var common []string
			for _, p := range o.paths(a) {
				if slices.Contains(o.paths(b), p) && !slices.Contains(common, p) {
					common = append(common, p)
				}
			}
			if len(common) > 0 {
				slices.Sort(common)
				return badRequest("The following paths cannot be processed by both '%s' and '%s': %s", a, b, strings.Join(common, ", "))
			}
		}
	}
	return nil
}

func (o *order) paired(a, b string) bool {
	return slices.ContainsFunc(o.MutuallyExclusive, func(p [2]string) bool {
		return p == [2]string{a, b} || p == [2]string{b, a}
	})
}

func (o *order) flags() error {
	o.new.Flags = []string{}
	var unknown []string
	for _, v := range o.list("flags") {
		name := v.(string)
		switch {
		case !slices.Contains(flags, name):
			if !slices.Contains(unknown, name) {
				unknown = append(unknown, name)
			}
		case !slices.Contains(o.new.Flags, name):
			o.new.Flags = append(o.new.Flags, name)
		}
	}
	slices.Sort(o.new.Flags)
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return badRequest("Invalid/Inactive flag(s): %s", strings.Join(unknown, ", "))
	}
	return nil
}

func (o *order) replacements() error {
	keys := []string{"name", "type", "version", "new_name"}
	for _, v := range o.list("dependency_replacements") {
		entry := v.(pyrepr.Object)
		for _, m := range entry {
			if !slices.Contains(keys, m.Key) {
				return badRequest("A dependency replacement must be a JSON object with the following keys: name, type, version. It may also contain the following optional keys: new_name.")
			}
		}
		field := func(key string) string {
			v, _ := entry.Get(key)
			s, _ := v.(string)
			return s
		}
		if v, _ := entry.Get("version"); v == nil {
			return badRequest(`The "version" key of the dependency replacement must be a string`)
		}
		o.new.Replacements = append(o.new.Replacements, request.Replacement{
			Name: field("name"), Type: field("type"), Version: field("version"), NewName: field("new_name"),
		})
	}
	return nil
}

func (o *order) users() error {
	o.new.User = o.user
	other := o.text("user")
	switch {
	case other == "":
	case o.user == "" && o.TrustUser:
		o.new.User = other
	case o.user == "":
		return badRequest(`Cannot set "user" when authentication is disabled`)
	case !slices.Contains(o.UserRepresentatives, o.user):
		return &httpError{http.StatusForbidden, "You are not authorized to create a request on behalf of another user"}
	default:
		o.new.User, o.new.SubmittedBy = other, o.user
	}
	return nil
}

func (o *order) enabled() error {
	var off []string
	for _, name := range o.new.PackageManagers {
		if !slices.Contains(o.PackageManagers, name) {
			off = append(off, name)
		}
	}
	if len(off) > 0 {
		slices.Sort(off)
		return badRequest("The following package managers are not enabled: %s", strings.Join(off, ", "))
	}
	return nil
}

// refusals: replacements for a manager that is asked for and does not take them.
func (o *order) refusals() error {
	managers := slices.Clone(o.Managers)
	slices.SortFunc(managers, func(a, b resolver.Descriptor) int { return a.Rank - b.Rank })
	for _, m := range managers {
		if m.RefusesReplacements == "" || !slices.Contains(o.new.PackageManagers, m.Name) {
			continue
		}
		if slices.ContainsFunc(o.new.Replacements, func(r request.Replacement) bool { return r.Type == m.Name }) {
			return badRequest("Dependency replacements are not yet supported for the %s package manager", m.RefusesReplacements)
		}
	}
	return nil
}

func stateOf(name string) request.State { return request.State(name) }
