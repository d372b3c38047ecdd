package web

// pager leads through the pages of a list.
type pager struct {
	Page, Pages, Total int64
	// From and To are the first and the last item shown, counted from 1; 0 for none.
	From, To int64
	// URLs of other pages, relative; empty where there is none.
	First, Previous, Next, Last string
}

// newPager describes a page of shown items; link makes the relative URL of another one.
func newPager(page, perPage, shown, total int64, link func(page int64) string) pager {
	p := pager{Page: page, Pages: max(1, (total+perPage-1)/perPage), Total: total}
	if shown > 0 {
		p.From = (page-1)*perPage + 1
		p.To = p.From + shown - 1
	}
	if page > 1 {
		p.First, p.Previous = link(1), link(min(page-1, p.Pages))
	}
	if page < p.Pages {
		p.Next, p.Last = link(page+1), link(p.Pages)
	}
	return p
}
