/** The stand-in for a model that the demo has, in a process of its own. */
import { StandInModel } from '../../proxy/demo/model.js';
import { obey } from './orders.js';

obey({ start: async () => (await StandInModel.start()).url });
