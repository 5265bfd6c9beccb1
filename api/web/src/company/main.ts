import { begin } from '../shared/begin';
import App from './App.svelte';

void begin(App);
