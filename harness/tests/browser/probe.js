// What of the page is looked at. Each gives a list of what is wrong.
(() => {
  const visible = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
  const named = (e) => e.tagName.toLowerCase() + '.' + (e.getAttribute('class') || '') + ' "' +
    e.textContent.trim().slice(0, 40) + '"';

  // A colour as the browser computes it, whatever notation it has, on what is below it.
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const over = (colours) => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
    }
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((v) => {
      const c = v / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const grounds = (e) => {
    const all = [];
    for (let at = e; at; at = at.parentElement) all.unshift(getComputedStyle(at).backgroundColor);
    return all;
  };
  const least = (style) => {
    const size = parseFloat(style.fontSize);
    return size >= 24 || (size >= 18.66 && parseInt(style.fontWeight, 10) >= 700) ? 3 : 4.5;
  };

  // Text that has less contrast than WCAG 2 wants at level AA.
  const pale = () => {
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let seen = 0;
    while (walker.nextNode()) {
      const e = walker.currentNode.parentElement;
      if (!walker.currentNode.textContent.trim() || !visible(e) || ['SCRIPT', 'STYLE', 'TITLE', 'title'].includes(e.tagName)) continue;
      seen += 1;
      const style = getComputedStyle(e);
      const of = (below, colour) => contrast(over([...below, colour]), over(below));
      let ratio;
      if (e instanceof SVGElement) {
        // Text of a figure stands on its water or on its land, or on a bar.
        if (e.classList.contains('on-bar')) continue;
        const root = getComputedStyle(document.documentElement);
        ratio = Math.min(...['--water', '--land', '--card'].map((v) => of([root.getPropertyValue(v)], style.fill)));
      } else {
        ratio = of(grounds(e), style.color);
      }
      if (ratio < least(style)) found.push(named(e) + ' ' + ratio.toFixed(2));
    }
    return { seen, found };
  };

  // What makes the page wider than the window.
  const wide = () => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    const out = [...document.querySelectorAll('body *')].filter((e) => visible(e) && !(e instanceof SVGElement) &&
      e.getBoundingClientRect().right > width + 0.5 && !e.closest('.scroll, pre'));
    return [document.documentElement.scrollWidth + ' px wide', ...out.slice(0, 8).map(named)];
  };

  const openAll = () => document.querySelectorAll('details').forEach((d) => { d.open = true; });
  const rows = () => [...document.querySelectorAll('table.cases tbody tr')].filter(visible).length;
  const details = () => [...document.querySelectorAll('details.case')].filter(visible).length;
  // Once something is on the screen: text that is there and not painted has not opened yet.
  const timing = async () => {
    for (let i = 0; i < 500 && !performance.getEntriesByName('first-contentful-paint')[0]; i += 1) {
      await new Promise((done) => { setTimeout(done, 10); });
    }
    const n = performance.getEntriesByType('navigation')[0];
    const painted = performance.getEntriesByName('first-contentful-paint')[0];
    return { dom: n.domContentLoadedEventEnd, load: n.loadEventEnd, paint: painted ? painted.startTime : null };
  };
  window.probe = { pale, wide, openAll, rows, details, timing };
})();
