'use strict';
(() => {
  const rows = [...document.querySelectorAll('table.cases tbody tr')];
  const text = document.getElementById('text');
  const engine = document.getElementById('engine');
  const shown = document.getElementById('shown');
  const chips = [...document.querySelectorAll('.chip input')];

  function filter() {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(chips.filter((c) => c.checked).map((c) => c.value));
    let n = 0;
    for (const row of rows) {
      const said = row.textContent.toLowerCase();
      const show = wanted.has(row.dataset.status) &&
        (!engine || !engine.value || row.dataset.engine === engine.value) &&
        words.every((w) => said.includes(w));
      row.hidden = !show;
      document.getElementById(row.dataset.for).hidden = !show;
      n += show ? 1 : 0;
    }
    shown.textContent = n === rows.length ? '' : n + ' of ' + rows.length + ' shown';
  }

  function open() {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === 'DETAILS') {
      target.open = true;
      target.scrollIntoView();
    }
  }

  async function copy(button) {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = 'copied';
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = 'selected';
    }
    setTimeout(() => { button.textContent = 'copy'; }, 1500);
  }

  if (text) {
    document.getElementById('filter').addEventListener('input', filter);
    document.getElementById('filter').addEventListener('submit', (e) => e.preventDefault());
  }
  document.addEventListener('click', (e) => {
    const button = e.target.closest('[data-copy]');
    if (button) copy(button);
    const link = e.target.closest('a[href^="#"]');
    if (link && link.hash === location.hash) open();
  });
  addEventListener('hashchange', open);
  open();
})();
