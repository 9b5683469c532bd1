// Elements, numbers and times. Text of the cluster only ever becomes text nodes.

const $ = (selector) => document.querySelector(selector);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

function shape(name, attributes = {}, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const known = (value) => value !== undefined && value !== null;
const percent = (share) => `${Math.round(share * 100)} %`;
const count = (value) => (known(value) ? String(value) : "?");
const whole = (value) => value.toLocaleString("en", { maximumFractionDigits: 0 });
const few = (value) => (value === 0 || value >= 10 ? whole(value) : value.toFixed(1).replace(/\.0$/, ""));
const money = (value) => value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
const two = (number) => String(number).padStart(2, "0");

function clock(ms, seconds = true) {
  const at = new Date(ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}${seconds ? `:${two(at.getSeconds())}` : ""}`;
}

// With the day where it is another one.
function moment(ms, now) {
  const at = new Date(ms);
  const day = at.toDateString() === new Date(now).toDateString() ? "" : `${two(at.getMonth() + 1)}-${two(at.getDate())} `;
  return day + clock(ms);
}

function age(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}
